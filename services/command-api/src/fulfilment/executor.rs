//! Carries the fulfilment's commands out in this process: a command flows in, goes the way of every
//! caller's command of that name (read, validated, informed, decided in a lane), and a verdict flows out.

use async_trait::async_trait;
use domain::{fulfilment::FulfilmentCommand, inventory::Item, order::Order};
use factline_core::{Refusal, Version};
use factline_log::{CommandFault, Done};
use factline_saga::{Errand, Executor, Later, Verdict};
use serde_json::{Map, Value, json};
use service_kit::{Problem, RequestContext, TraceContext, extract::IfMatch};

use super::refunds::{Refund, RefundPort};
use crate::{
    App,
    commands::{CommandHeaders, prepare},
    kinds::Kind,
};

/// See the module.
pub(super) struct InProcess {
    pub(super) app: App,
    pub(super) refunds: Box<dyn RefundPort>,
}

#[async_trait]
impl Executor<FulfilmentCommand> for InProcess {
    async fn execute(&self, errand: Errand<FulfilmentCommand>) -> Result<Verdict, Later> {
        match errand.command.clone() {
            FulfilmentCommand::ReserveStock { sku, reservation_id, quantity } => {
                let data =
                    json!({"sku": sku, "reservation_id": reservation_id, "quantity": quantity});
                self.ask::<Item>(errand, "inventory.reserve_stock", data, None).await
            }
            FulfilmentCommand::ReleaseReservation { sku, reservation_id } => {
                let data = json!({"sku": sku, "reservation_id": reservation_id});
                self.ask::<Item>(errand, "inventory.release_reservation", data, None).await
            }
            FulfilmentCommand::ShipReservation { sku, reservation_id } => {
                let data = json!({"sku": sku, "reservation_id": reservation_id});
                self.ask::<Item>(errand, "inventory.ship_reservation", data, None).await
            }
            FulfilmentCommand::AllocateOrder { order_id } => {
                let data = json!({"order_id": order_id});
                self.ask::<Order>(errand, "order.allocate_order", data, None).await
            }
            FulfilmentCommand::CancelOrder { order_id, reason, at_version } => {
                let data = json!({"order_id": order_id, "reason": reason});
                self.ask::<Order>(errand, "order.cancel_order", data, at_version).await
            }
            FulfilmentCommand::RefundPayment { order_id, payment_id, amount_cents, currency } => {
                let refund = Refund { order_id, payment_id, amount_cents, currency };
                self.refunds.refund(refund).await
            }
        }
    }
}

impl InProcess {
    async fn ask<A: Kind>(
        &self,
        errand: Errand<FulfilmentCommand>,
        name: &str,
        data: Value,
        at_version: Option<i64>,
    ) -> Result<Verdict, Later> {
        let parent = errand.traceparent.as_deref().and_then(TraceContext::parse);
        let headers = CommandHeaders {
            route: errand.actor.clone(),
            key: Some(errand.key.to_string()),
            if_match: at_version.map(|version| IfMatch(Version(version))),
            context: RequestContext {
                correlation_id: errand.correlation_id,
                actor: Some(errand.actor.clone()),
                trace: parent.map_or_else(TraceContext::root, TraceContext::child),
                ..RequestContext::fresh()
            },
        };
        let data = data.as_object().cloned().unwrap_or_default();
        match self.carry_out::<A>(&errand, name, data, headers).await {
            Ok(done) => {
                let last = done.events.last();
                Ok(Verdict::Accepted { event_id: last.map(|event| event.envelope.event_id) })
            }
            Err(Ended::Problem(problem)) => of_problem(&problem),
            Err(Ended::Fault(fault)) => of_fault(fault),
        }
    }

    async fn carry_out<A: Kind>(
        &self,
        errand: &Errand<FulfilmentCommand>,
        name: &str,
        data: Map<String, Value>,
        headers: CommandHeaders,
    ) -> Result<Done<A>, Ended<A::Refusal>> {
        let prepared = prepare::<A>(&self.app, name, data, headers).await;
        let mut command = prepared.map_err(Ended::Problem)?;
        command.causation_id = errand.causation_id;
        command.decide_by = Some(errand.decide_by);
        A::store(&self.app).lanes.execute(command).await.map_err(Ended::Fault)
    }
}

/// How a command ended that was not carried out.
enum Ended<R> {
    /// Before it was decided.
    Problem(Problem),
    Fault(CommandFault<R>),
}

/// What could not be asked now can be later; what is invalid never.
fn of_problem(problem: &Problem) -> Result<Verdict, Later> {
    let code = problem.code().to_owned();
    if problem.status().is_server_error() {
        return Err(Later(code));
    }
    let detail = problem.document().detail.clone().unwrap_or_default();
    Ok(Verdict::Refused { code, detail })
}

/// Infrastructure decides nothing: only the domain's no and the command's own faults are answers.
fn of_fault<R: Refusal>(fault: CommandFault<R>) -> Result<Verdict, Later> {
    let detail = fault.to_string();
    let code = match fault {
        CommandFault::Refused(refusal) => refusal.code(),
        CommandFault::VersionMismatch { .. } => "version_mismatch",
        CommandFault::KeyReused => "idempotency_key_reused",
        CommandFault::Unencodable(_) => "event_not_storable",
        CommandFault::Panicked => "decision_panicked",
        CommandFault::Busy
        | CommandFault::TooLate
        | CommandFault::Unavailable(_)
        | CommandFault::OutcomeUnknown(_) => return Err(Later(detail)),
    };
    Ok(Verdict::Refused { code: code.to_owned(), detail })
}

#[cfg(test)]
mod tests {
    use domain::inventory::InventoryRefusal;
    use factline_core::Fault;

    use super::*;

    #[test]
    fn only_an_answer_decides_and_infrastructure_never_does() {
        let of = of_fault::<InventoryRefusal>;
        let code = |verdict| match verdict {
            Ok(Verdict::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        let refusal = InventoryRefusal::InsufficientStock { available: 1, requested: 2 };
        assert_eq!(code(of(CommandFault::Refused(refusal))), "insufficient_stock");
        let mismatch = CommandFault::VersionMismatch { current: Version(7) };
        assert_eq!(code(of(mismatch)), "version_mismatch");
        let away = || Fault::transient("appending", "connection refused");
        for later in [
            CommandFault::Busy,
            CommandFault::TooLate,
            CommandFault::Unavailable(away()),
            CommandFault::Unavailable(Fault::fatal("appending", "permission denied")),
            CommandFault::OutcomeUnknown(away()),
        ] {
            assert!(of(later).is_err());
        }
        assert!(of_problem(&Problem::unavailable("log_unavailable", "away", 1)).is_err());
        let invalid = Problem::unprocessable("invalid_fields", "some fields are not valid");
        assert_eq!(code(of_problem(&invalid)), "invalid_fields");
    }
}
