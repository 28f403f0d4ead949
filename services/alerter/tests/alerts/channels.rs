//! The ways that alerts are told: webhooks over TLS, keys that change, mail.

use std::time::Duration;

use alerter::{delivering::Way, email::Smtp, rules::Channel, webhook::WebhookSettings};
use service_kit::settings::Secret;

use crate::{
    alarm::{Alarm, SECRET, added, swings},
    fronts::{Authority, Claims, Front, self_signed},
    post_office::{email, received, somebody, until_received},
    receiver::{Answer, Receiver},
};

const HOUR: Duration = Duration::from_secs(3_600);
/// 24 other bytes.
const NEW_SECRET: &str = "whsec_NzY1NDMyMTBmZWRjYmE5ODc2NTQzMjEw";

/// An alarm with one episode open.
async fn ringing(test: &str) -> Alarm {
    let alarm = Alarm::new(test, HOUR).await;
    alarm.happens(&swings(1)).await;
    alarm
}

#[tokio::test]
async fn w08_a_receiver_over_https_is_told_when_its_certificate_proves_it_and_only_then() {
    let alarm = ringing("w08_a_receiver").await;
    let (authority, receiver) = (Authority::new(), Receiver::answering([]).await);
    let over = |front: &Front| WebhookSettings {
        ca_file: authority.ca_file(),
        ..Alarm::webhook(format!("https://{}/hook", front.address))
    };
    for (what, tls) in [
        ("expired", authority.server(&Claims::EXPIRED)),
        ("of another name", authority.server(&Claims::OF_ANOTHER)),
        ("self-signed", self_signed(&Claims::GOOD)),
    ] {
        let front = Front::before(receiver.address(), tls).await;
        let deliverer = alarm.deliver(over(&front));
        alarm.until_failed("certificate").await;
        deliverer.stop().await;
        assert_eq!(receiver.messages(), [], "{what}");
    }
    let front = Front::before(receiver.address(), authority.server(&Claims::GOOD)).await;
    let unknown = WebhookSettings { ca_file: String::new(), ..over(&front) };
    let deliverer = alarm.deliver(unknown);
    alarm.until_failed("certificate").await;
    deliverer.stop().await;
    assert_eq!(receiver.messages(), [], "of an authority that we do not know");
    let deliverer = alarm.deliver(over(&front));
    alarm.until_states(&["opened delivered"]).await;
    deliverer.stop().await;
    assert_eq!(receiver.messages().len(), 1);
}

#[tokio::test]
async fn a_key_is_changed_without_losing_an_alert() {
    let alarm = Alarm::new("a_key_is_changed", HOUR).await;
    let receiver = Receiver::answering([]).await;
    let low = factline_testkit::recorded(["A", "B", "C", "D"].map(|sku| (sku, added(1))));
    let both = format!("{NEW_SECRET} {SECRET}");
    for (turn, (sender, at_receiver)) in
        [(SECRET, SECRET), (&both, SECRET), (&both, NEW_SECRET), (NEW_SECRET, NEW_SECRET)]
            .into_iter()
            .enumerate()
    {
        receiver.knows(at_receiver);
        alarm.happens(&low[turn..=turn]).await;
        let secret = Secret::new(sender);
        let settings = WebhookSettings { secret, ..Alarm::webhook(receiver.url()) };
        let deliverer = alarm.deliver(settings);
        alarm.until_states(&vec!["opened delivered"; turn + 1]).await;
        deliverer.stop().await;
    }
    assert_eq!(receiver.messages().len(), 4);
    assert!(alarm.deliveries().await.iter().all(|row| row.attempts == 1), "none was refused");
}

#[tokio::test]
async fn w10_a_message_that_was_changed_or_comes_late_again_is_refused_by_its_receiver() {
    let alarm = ringing("w10_a_message").await;
    let receiver = Receiver::answering([]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    receiver.until_messages(1).await;
    deliverer.stop().await;
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.verify(SECRET, seen.timestamp), Ok(()));
    assert_eq!(seen.verify(SECRET, seen.timestamp + 301), Err("too old"), "replayed");
    assert_eq!(seen.verify(SECRET, seen.timestamp - 301), Err("of the future"));
    assert_eq!(seen.verify(NEW_SECRET, seen.timestamp), Err("not signed"), "another key");
    let changed = [
        seen.with_body(&seen.body.replace("low_stock", "LOW_STOCK")),
        seen.with_timestamp(seen.timestamp + 1),
        seen.with_id("another"),
        // A dot moved from one part of what is signed to the next.
        seen.with_id(&format!("{}.{}", seen.id, seen.timestamp)),
    ];
    for changed in changed {
        assert_eq!(changed.verify(SECRET, changed.timestamp), Err("not signed"), "{changed:?}");
    }
}

#[tokio::test]
async fn an_alert_is_mailed_beside_the_webhook_and_each_way_is_told_by_itself() {
    let mut alarm = Alarm::new("an_alert_is_mailed", HOUR).await;
    alarm.low_stock().channels = vec![Channel::Webhook, Channel::Email];
    alarm.happens(&swings(1)).await;
    let to = somebody();
    let mailing = alarm.tell(Way::Email(Smtp::new(&email()).unwrap(), to.clone()), email().pace());
    let mails = until_received(&to, 1).await;
    alarm.until_states(&["opened pending", "opened delivered"]).await;
    let receiver = Receiver::answering([Answer::Status(500)]).await;
    let deliverer = alarm.deliver(Alarm::webhook(receiver.url()));
    alarm.until_states(&["opened delivered", "opened delivered"]).await;
    alarm.happens(&swings(2)[2..]).await;
    until_received(&to, 2).await;
    deliverer.stop().await;
    mailing.stop().await;
    assert_eq!(mails[0].subject, "warning, opened: Stock is low: A");
    let ids: Vec<_> = received(&to).await.into_iter().map(|mail| mail.message_id).collect();
    assert_ne!(ids[0], ids[1]);
}
