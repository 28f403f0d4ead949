//! Mail to customers, over the real SMTP server.

use std::time::Duration;

use alerter::{
    email::{EmailSettings, Security},
    reactions::{
        Reacting, cancellation::TellCancellation, confirmation::ConfirmOrder, contacts::Contacts,
        mail_id, order_customers::OrderCustomers,
    },
};
use domain::{
    customer::{CustomerEmailChanged, CustomerEvent, CustomerRegistered},
    order::{ConfirmedLine, OrderCancelled, OrderConfirmed, OrderCreated, OrderEvent},
};
use factline_core::Recorded;
use factline_projection::{FoldedView, Projection};
use factline_testkit::recorded;
use service_kit::health::ComponentStatus;
use sqlx::{Connection, PgConnection};

use crate::{
    alarm::Alarm,
    fronts::{Authority, Claims, Front, self_signed},
    post_office::{email, received, somebody, until_received},
};

pub const ORDER: &str = "018f3c1e-7b1a-7000-8000-0000000000a1";
const CUSTOMER: &str = "018f3c1e-7b1a-7000-8000-0000000000c1";

pub fn created() -> OrderEvent {
    let (customer_id, currency) = (CUSTOMER.to_owned(), "GBP".to_owned());
    OrderCreated { customer_id, shipping_address: "London".to_owned(), currency }.into()
}

pub fn confirmed() -> OrderEvent {
    let (sku, name) = ("85123A".to_owned(), "Lantern <small> & \"old\"".to_owned());
    let lines = vec![ConfirmedLine { sku, name, quantity: 6, unit_price_cents: 255 }];
    let (customer_id, currency) = (CUSTOMER.to_owned(), "GBP".to_owned());
    OrderConfirmed { customer_id, lines, total_cents: 1_530, currency }.into()
}

pub fn cancelled() -> OrderEvent {
    let (reason, currency) = ("out of stock <sorry>".to_owned(), "GBP".to_owned());
    OrderCancelled { reason, cancelled_by: None, refund_cents: 0, currency }.into()
}

pub fn registered(email: &str) -> CustomerEvent {
    let (name, email) = ("Ada Lovelace".to_owned(), email.to_owned());
    CustomerRegistered { name, email }.into()
}

impl Alarm {
    /// One transaction of a projection.
    pub async fn apply<P: Projection>(&self, projection: P, events: &[Recorded<P::Event>]) {
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        projection.prepare(&mut connection).await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        projection.apply(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn registers(&self, email: &str) {
        self.apply(FoldedView::<Contacts>::new(), &recorded([(CUSTOMER, registered(email))])).await;
    }

    /// Every projection of orders takes the events in.
    pub async fn orders(&self, events: &[Recorded<OrderEvent>]) {
        self.apply(FoldedView::<OrderCustomers>::new(), events).await;
        self.apply(Reacting::<ConfirmOrder>::new(), events).await;
        self.apply(Reacting::<TellCancellation>::new(), events).await;
    }
}

/// An alarm that has one confirmed order.
async fn confirmed_order(test: &str) -> (Alarm, String) {
    let (alarm, to) = (Alarm::new(test, Duration::ZERO).await, somebody());
    alarm.registers(&to).await;
    alarm.orders(&recorded([(ORDER, created()), (ORDER, confirmed())])).await;
    (alarm, to)
}

#[tokio::test]
async fn a_confirmed_order_is_confirmed_by_mail_with_its_items_and_total() {
    let (alarm, to) = confirmed_order("a_confirmed_order").await;
    let sending = alarm.mail(&email());
    let mails = until_received(&to, 1).await;
    alarm.until_mails(&["delivered 1"]).await;
    sending.stop().await;
    assert_eq!(mails[0].subject, format!("We have your order {ORDER}"));
    let source = mails[0].source.replace("=\r\n", ""); // quoted-printable's soft line ends
    for part in [
        "From: Shop <orders@shop.example>",
        "Hello Ada Lovelace,",
        "6 x Lantern <small> & \"old\" (85123A): 15.30 GBP",
        "Total: 15.30 GBP",
    ] {
        assert!(source.contains(part), "{part}: {source}");
    }
    let html = &source[source.find("<!doctype html>").unwrap()..];
    assert!(!html.contains("<small>"), "escaped in HTML: {html}");
}

#[tokio::test]
async fn a_cancelled_order_is_told_of_by_mail_with_its_reason() {
    let (alarm, to) = (Alarm::new("a_cancelled_order", Duration::ZERO).await, somebody());
    alarm.registers(&to).await;
    alarm.orders(&recorded([(ORDER, created()), (ORDER, cancelled())])).await;
    let sending = alarm.mail(&email());
    let mails = until_received(&to, 1).await;
    sending.stop().await;
    assert_eq!(mails[0].subject, format!("Your order {ORDER} was cancelled"));
    assert!(mails[0].source.contains("Reason: out of stock <sorry>"), "{}", mails[0].source);
}

#[tokio::test]
async fn an_event_that_comes_again_sends_no_second_mail() {
    let (alarm, to) = confirmed_order("an_event_that_comes_again").await;
    let sending = alarm.mail(&email());
    alarm.until_mails(&["delivered 1"]).await;
    // As after a restored checkpoint; the other reactions to the same event are not concerned.
    let again = recorded([(ORDER, created()), (ORDER, confirmed()), (ORDER, cancelled())]);
    alarm.apply(Reacting::<ConfirmOrder>::new(), &again).await;
    alarm.apply(Reacting::<TellCancellation>::new(), &again).await;
    alarm.until_mails(&["delivered 1", "delivered 1"]).await;
    sending.stop().await;
    let subjects: Vec<_> = received(&to).await.into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects[1].ends_with("was cancelled"), "{subjects:?}");
}

#[tokio::test]
async fn a_mail_waits_for_its_customer_and_goes_to_the_address_of_when_it_is_sent() {
    let (alarm, to) = (Alarm::new("a_mail_waits", Duration::ZERO).await, somebody());
    alarm.orders(&recorded([(ORDER, created()), (ORDER, confirmed())])).await;
    let sending = alarm.mail(&email());
    alarm.until_component("email", |status| *status == ComponentStatus::Ready).await;
    assert_eq!(alarm.mails().await, ["waiting 0"], "nobody knows whom to write to");
    let changed = CustomerEmailChanged { email: to.clone() };
    let events = [(CUSTOMER, registered(&somebody())), (CUSTOMER, changed.into())];
    alarm.apply(FoldedView::<Contacts>::new(), &recorded(events)).await;
    until_received(&to, 1).await;
    sending.stop().await;
}

#[tokio::test]
async fn a_crash_between_a_mail_and_its_mark_repeats_it_under_the_same_message_id() {
    let (alarm, to) = confirmed_order("a_crash_between_a_mail").await;
    let front = Front::losing_the_last_answer(email().smtp).await;
    let dying = alarm.mail(&EmailSettings { smtp: front.address.clone(), ..email() });
    until_received(&to, 1).await;
    dying.crash().await;
    assert_eq!(alarm.mails().await, ["waiting 1"], "claimed, and nobody knows what came of it");
    sqlx::query("update emails set next_attempt_at = now()") // the claim runs out
        .execute(&alarm.pool)
        .await
        .unwrap();
    let next = alarm.mail(&email());
    let mails = until_received(&to, 2).await;
    alarm.until_mails(&["delivered 2"]).await;
    next.stop().await;
    let event = &recorded([(ORDER, created()), (ORDER, confirmed())])[1];
    let id = mail_id::<ConfirmOrder>(event.envelope.event_id);
    assert_eq!(mails[0].message_id, format!("<{id}@shop.example>"));
    assert_eq!(mails[0].message_id, mails[1].message_id);
}

#[tokio::test]
async fn a_server_that_is_away_keeps_mail_waiting_and_one_that_refuses_for_good_ends_it() {
    let (alarm, to) = confirmed_order("a_server_that_is_away").await;
    let away = EmailSettings { smtp: "127.0.0.1:9".to_owned(), ..email() };
    let sending = alarm.mail(&away);
    let degraded = |status: &ComponentStatus| matches!(status, ComponentStatus::Degraded { .. });
    alarm.until_component("email", degraded).await;
    sending.stop().await;
    assert!(alarm.mails().await[0].starts_with("waiting"), "{:?}", alarm.mails().await);
    sqlx::query("update emails set attempts = 0").execute(&alarm.pool).await.unwrap();
    let refusing = Front::refusing_recipients().await;
    let sending = alarm.mail(&EmailSettings { smtp: refusing.address.clone(), ..email() });
    alarm.until_mails(&["abandoned 1"]).await;
    sending.stop().await;
    assert_eq!(received(&to).await, []);
}

#[tokio::test]
async fn mail_that_is_too_old_is_not_sent_any_more() {
    let (alarm, to) = confirmed_order("mail_that_is_too_old").await; // of January
    let sending = alarm.mail(&EmailSettings { expire_ms: 60_000, ..email() });
    alarm.until_mails(&["withdrawn 0"]).await;
    sending.stop().await;
    assert_eq!(received(&to).await, []);
}

/// Nothing of the server's is handed to whom the certificate does not prove.
#[tokio::test]
async fn w08_mail_goes_over_tls_to_a_server_that_proves_itself_and_to_no_other() {
    let (alarm, to) = confirmed_order("w08_mail").await;
    let (authority, server) = (Authority::new(), email().smtp);
    let good = || authority.server(&Claims::GOOD);
    let secured = |smtp: &Front, security| EmailSettings {
        smtp: smtp.address.clone(),
        security,
        allow_insecure: false,
        ca_file: authority.ca_file(),
        ..email()
    };
    for bad in [
        Front::before(server.clone(), authority.server(&Claims::EXPIRED)).await,
        Front::before(server.clone(), authority.server(&Claims::OF_ANOTHER)).await,
        Front::before(server.clone(), self_signed(&Claims::GOOD)).await,
    ] {
        let sending = alarm.mail(&secured(&bad, Security::Tls));
        alarm.until_mail_failed("certificate").await;
        sending.stop().await;
    }
    // A server that is asked for STARTTLS and has none gets nothing either.
    let plain = EmailSettings { security: Security::Starttls, ..email() };
    let sending = alarm.mail(&plain);
    alarm.until_mail_failed("STARTTLS").await;
    sending.stop().await;
    assert_eq!(received(&to).await, []);
    let front = Front::starttls(server.clone(), good()).await;
    let sending = alarm.mail(&secured(&front, Security::Starttls));
    until_received(&to, 1).await;
    sending.stop().await;
    sqlx::query("update emails set delivered_at = null, next_attempt_at = now()")
        .execute(&alarm.pool)
        .await
        .unwrap();
    let front = Front::before(server, good()).await;
    let sending = alarm.mail(&secured(&front, Security::Tls));
    until_received(&to, 2).await;
    sending.stop().await;
}
