//! The program beside a projector's database; the projector's part is played by the test.

use std::process::{Command, Output};

use factline_projection::MIGRATOR;
use factline_testkit::TestDatabase;
use sqlx::PgPool;
use tokio::task::{JoinHandle, spawn_blocking};

pub struct World {
    database: TestDatabase,
    /// Of the projectors of which nothing is asked.
    empty: TestDatabase,
    pub pool: PgPool,
}

impl World {
    /// A projector's database in the state that the statements leave it in.
    pub async fn create(test: &str, state: &'static str) -> Self {
        let database = TestDatabase::create(test).await;
        let pool = database.pool().await;
        MIGRATOR.run(&pool).await.unwrap();
        sqlx::raw_sql(state).execute(&pool).await.unwrap();
        let empty = TestDatabase::create(&format!("{test}_empty")).await;
        MIGRATOR.run(&empty.pool().await).await.unwrap();
        Self { database, empty, pool }
    }

    /// Runs the program: its exit code, and what it said.
    pub fn run(&self, verb: &str, arguments: &[&str]) -> JoinHandle<(Option<i32>, String)> {
        let mut factline = Command::new(env!("CARGO_BIN_EXE_factline"));
        factline.env_clear().arg(verb).args(arguments);
        for (key, database) in [
            ("databases.projector_list", &self.database),
            ("databases.projector_stats", &self.empty),
            ("databases.alerter", &self.empty),
            ("databases.command_api", &self.empty),
        ] {
            factline.args(["--set", &format!("{key}={}", database.url())]);
        }
        factline.current_dir(std::env::temp_dir()); // no stack is recorded above it
        spawn_blocking(move || {
            let Output { status, stdout, stderr } = factline.output().unwrap();
            (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
        })
    }
}
