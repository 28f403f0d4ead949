//! Which tasks a process has, by its roles.

use std::time::Duration;

use factline_projection::FoldedView;
use read_kit::{Database, Reading};
use service_kit::{Phase, Runtime, ServiceError};
use sqlx::PgPool;

use crate::{
    delivering::{Delivering, Way},
    email::Smtp,
    episodes::Terms,
    http,
    outbox::{
        Queue, Sender,
        book::{Book, Table},
    },
    reactions::{
        Reacting, cancellation::TellCancellation, confirmation::ConfirmOrder, contacts::Contacts,
        mailing::Mailing, order_customers::OrderCustomers,
    },
    rules::{Channel, LOW_STOCK},
    settings::{Role, Settings},
    stock_watch::Watch,
    watching::{WatchParts, Watching},
    webhook::Webhook,
};

/// One claims and one marks, of each queue; a message under way holds none.
const OUTBOX_CONNECTIONS: u32 = 3;
/// A look is one transaction at a time.
const WATCH_CONNECTIONS: u32 = 1;
/// People are slow.
const ACT_CONNECTIONS: u32 = 2;
/// The projection that takes heartbeats in.
const HEARTBEATS: &str = "heartbeat_alerts";

/// Over what alerts can be told. Webhooks wait for one to be configured, as ever; mail is made only
/// where it has somebody to go to.
fn channels(settings: &Settings) -> Vec<Channel> {
    let email = !settings.email.smtp.is_empty() && !settings.email.alerts_to.is_empty();
    [Some(Channel::Webhook), email.then_some(Channel::Email)].into_iter().flatten().collect()
}

/// Judges stock, and services. Gives the view that stock is judged on.
pub(crate) fn watch(
    settings: &Settings,
    database: &Database,
    runtime: &Runtime,
) -> Result<Reading, ServiceError> {
    let read = settings.read();
    let channels = channels(settings);
    let low_stock = settings
        .rules
        .named(LOW_STOCK)
        .ok_or_else(|| ServiceError::settings(format!("rules.{LOW_STOCK}: is missing")))?;
    let watch = Watch { terms: Terms::of(low_stock, &channels) };
    let reading = read_kit::begin(watch, Role::Watch, &read, database, runtime)?;
    read_kit::follow_heartbeat(HEARTBEATS, Role::Watch, &read, database, runtime)?;
    if read.plays(Role::Watch) {
        let watching = Watching::new(WatchParts {
            pool: read_kit::pool(&read.database, "factline-watch", WATCH_CONNECTIONS)?,
            settings: settings.watch.clone(),
            rules: settings.rules.clone(),
            channels,
            heartbeat_every: Duration::from_millis(settings.heartbeat.every_ms.into()),
            heartbeats: HEARTBEATS,
            tell_every: Duration::from_millis(settings.alerts.heartbeat_every_ms),
        })?;
        let component = runtime.health.component("watch");
        runtime.tasks.spawn(Phase::Working, "watch", |stop| async move {
            watching.run(component, stop).await;
            Ok(())
        });
    }
    Ok(reading)
}

/// Takes in whom mail reaches, and makes mail of events. A reaction is a line.
pub(crate) fn react(
    settings: &Settings,
    database: &Database,
    runtime: &Runtime,
) -> Result<(), ServiceError> {
    let read = settings.read();
    if !read.plays(Role::React) {
        return Ok(()); // nobody here asks these views
    }
    read_kit::begin(FoldedView::<Contacts>::new(), Role::React, &read, database, runtime)?;
    read_kit::begin(FoldedView::<OrderCustomers>::new(), Role::React, &read, database, runtime)?;
    read_kit::begin(Reacting::<ConfirmOrder>::new(), Role::React, &read, database, runtime)?;
    read_kit::begin(Reacting::<TellCancellation>::new(), Role::React, &read, database, runtime)?;
    Ok(())
}

/// Sends what is due, over every way that is configured.
pub(crate) fn deliver(settings: &Settings, runtime: &Runtime) -> Result<(), ServiceError> {
    let read = settings.read();
    if !read.plays(Role::Deliver) {
        return Ok(());
    }
    let pool = read_kit::pool(&read.database, "factline-deliveries", OUTBOX_CONNECTIONS)?;
    let alerts = |way, pace| {
        let most = settings.alerts.most_per_minute;
        Delivering::new(pool.clone(), way, pace, most, settings.rules.clone()).sender()
    };
    if !settings.webhook.url.is_empty() {
        let way = Way::Webhook(Webhook::new(&settings.webhook)?);
        spawn(alerts(way, settings.webhook.pace()), "webhook", runtime);
    }
    let email = &settings.email;
    if !email.smtp.is_empty() {
        if !email.alerts_to.is_empty() {
            let way = Way::Email(Smtp::new(email)?, email.alerts_to.clone());
            spawn(alerts(way, email.pace()), "alert email", runtime);
        }
        spawn(mail(pool.clone(), settings)?, "email", runtime);
    }
    Ok(())
}

fn mail(pool: PgPool, settings: &Settings) -> Result<Sender<Mailing>, ServiceError> {
    let email = &settings.email;
    let book = Book::new(pool.clone(), Table::Emails, email.pace());
    let mailing = Mailing::new(pool, Smtp::new(email)?, email);
    Ok(Sender::new(mailing, book, Duration::from_millis(email.poll_ms)))
}

fn spawn<Q: Queue>(sender: Sender<Q>, name: &'static str, runtime: &Runtime) {
    let component = runtime.health.component(name);
    runtime.tasks.spawn(Phase::Working, format!("sending {name}"), |stop| async move {
        sender.run(component, stop).await;
        Ok(())
    });
}

/// Answers what is going on, and takes what people do about it.
pub(crate) async fn query(
    settings: &Settings,
    reading: Reading,
    runtime: &Runtime,
) -> Result<(), ServiceError> {
    if !settings.read().plays(Role::Query) {
        return Ok(());
    }
    let acts = read_kit::pool(&settings.database, "factline-acts", ACT_CONNECTIONS)?;
    runtime.serve_http(http::routes(http::Parts { reading, acts })).await?;
    Ok(())
}
