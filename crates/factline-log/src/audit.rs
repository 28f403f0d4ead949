//! May the server forget, or the role change, what a caller was told is stored?

use factline_core::Fault;
use sqlx::PgConnection;

use crate::classify;

const DOING: &str = "auditing the log's server";

/// Asks the server about the session that it is asked in: `synchronous_commit` may differ for each
/// database and role.
///
/// # Errors
/// Fatal with one sentence that names everything that is wrong; otherwise the database fails.
pub(crate) async fn audit(connection: &mut PgConnection) -> Result<(), Fault> {
    // An owner may give itself every right; a member of the owner is one.
    const ASK: &str = "
        select current_setting('fsync'), current_setting('full_page_writes'),
               current_setting('synchronous_commit'), current_user::text,
               has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
                   or has_any_column_privilege(c.oid, 'UPDATE')
                   or pg_has_role(c.relowner, 'MEMBER')
        from pg_class c where c.oid = 'log.events'::regclass";
    let (fsync, full_page_writes, synchronous_commit, role, may_change_history) =
        sqlx::query_as(ASK).fetch_one(connection).await.map_err(|error| classify(DOING, error))?;
    let server = Server { fsync, full_page_writes, synchronous_commit, role, may_change_history };
    server.objection().map_or(Ok(()), |words| Err(Fault::fatal(DOING, words)))
}

/// What a server says of itself.
struct Server {
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    role: String,
    may_change_history: bool,
}

impl Server {
    /// Why it is not to be trusted with commands.
    fn objection(&self) -> Option<String> {
        let mut objections = Vec::new();
        for (name, value, loses) in [
            ("fsync", &self.fsync, "a power cut loses or damages what was acknowledged"),
            (
                "full_page_writes",
                &self.full_page_writes,
                "a power cut damages what was acknowledged",
            ),
            ("synchronous_commit", &self.synchronous_commit, "a crash loses what was acknowledged"),
        ] {
            // `local`, `remote_write` and `remote_apply` wait for the server's own disk as `on` does.
            if value == "off" {
                objections.push(format!("{name} is off: {loses}"));
            }
        }
        if self.may_change_history {
            objections.push(format!("the role {} may change history", self.role));
        }
        let wanted = "allow_unsafe_database = true accepts that";
        (!objections.is_empty()).then(|| format!("{}; {wanted}", objections.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(settings: [&str; 3], may_change_history: bool) -> Server {
        let [fsync, full_page_writes, synchronous_commit] = settings.map(str::to_owned);
        let role = "writer".to_owned();
        Server { fsync, full_page_writes, synchronous_commit, role, may_change_history }
    }

    #[test]
    fn c09_each_way_to_lose_an_acknowledged_command_is_named() {
        let settings = ["fsync", "full_page_writes", "synchronous_commit"];
        for (index, name) in settings.into_iter().enumerate() {
            let mut values = ["on"; 3];
            values[index] = "off";
            let words = server(values, false).objection().unwrap();
            assert!(words.starts_with(&format!("{name} is off: ")), "{words}");
            for other in settings.into_iter().filter(|other| *other != name) {
                assert!(!words.contains(other), "{words}");
            }
        }
        let words = server(["off", "on", "off"], true).objection().unwrap();
        for named in ["fsync", "synchronous_commit", "the role writer may change history"] {
            assert!(words.contains(named), "{words}");
        }
    }

    #[test]
    fn c09_a_server_that_waits_for_a_disk_is_trusted() {
        for commit in ["on", "local", "remote_write", "remote_apply"] {
            assert_eq!(server(["on", "on", commit], false).objection(), None, "{commit}");
        }
    }
}
