//! A database that one test has for itself.

use local_stack::Addresses;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, postgres::PgPoolOptions};

use crate::{FaultProxy, stack, stack::unique};

/// The database that every Postgres server has: where others are created and dropped.
const MAINTENANCE: &str = "postgres";

/// An empty database on the stack's Postgres. Dropping the value drops the database, whoever is
/// still connected to it.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: Addresses,
}

impl TestDatabase {
    /// Creates a database whose name begins like the test's.
    pub async fn create(test_name: &str) -> Self {
        Self::create_on(stack(), test_name).await
    }

    /// The same on the Postgres of another stack.
    pub async fn create_on(server: Addresses, test_name: &str) -> Self {
        let name = unique(test_name, '_');
        run(&server, format!("create database {name:?} template template0")).await.unwrap_or_else(
            |error| panic!("create a test database on {}: {error}", server.postgres_host),
        );
        Self { name, server }
    }

    /// The database's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A URL for it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.postgres_url(&self.name)
    }

    /// A URL for it that goes through a proxy in front of the server; see
    /// [`FaultProxy::to_postgres`].
    #[must_use]
    pub fn url_through(&self, proxy: &FaultProxy) -> String {
        let server = Addresses {
            postgres_host: proxy.address().ip().to_string(),
            postgres_port: proxy.address().port(),
            ..self.server.clone()
        };
        server.postgres_url(&self.name)
    }

    /// A copy of the database as it is now. Whoever is connected is thrown out: a copy is made of a
    /// database that nobody uses.
    pub async fn back_up(&self) -> TestDatabase {
        let backup = Self { name: unique(&self.name, '_'), server: self.server.clone() };
        let out = format!(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{}'",
            self.name
        );
        let copy = format!("create database {:?} template {:?}", backup.name, self.name);
        for statement in [out, copy] {
            run(&self.server, statement).await.expect("back a test database up");
        }
        backup
    }

    /// Becomes what was backed up; whoever is connected is thrown out.
    pub async fn restore(&self, backup: TestDatabase) {
        let gone = format!("drop database {:?} with (force)", self.name);
        let back = format!("alter database {:?} rename to {:?}", backup.name, self.name);
        for statement in [gone, back] {
            run(&self.server, statement).await.expect("restore a test database");
        }
    }

    /// A pool of up to four connections: what a test looks around with.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(4)
            .connect(&self.url())
            .await
            .unwrap_or_else(|error| panic!("connect to {}: {error}", self.name))
    }
}

impl Drop for TestDatabase {
    /// On a thread and a runtime of its own: the test's runtime is ending, or has ended.
    fn drop(&mut self) {
        let server = self.server.clone();
        let statement = format!("drop database if exists {:?} with (force)", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(sqlx::Error::Io)?.block_on(run(&server, statement))
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the test database {} stays: {error}", self.name),
            Err(_) => eprintln!("the test database {} stays: its end panicked", self.name),
        }
    }
}

async fn run(server: &Addresses, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&server.postgres_url(MAINTENANCE)).await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await
}
