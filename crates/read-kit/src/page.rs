//! Pages: how long one is, where the next begins, and why there is none.

use serde::Deserialize;
use service_kit::Problem;
use sqlx::types::Json;

use crate::{cursor::MalformedCursor, reading::unanswered};

/// Rows on a page, 1 to 500: more is an export, and an export reads the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u32);

/// Why there is no page. As a [`Problem`]: 400 for the cursor, and what the database's no means.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The cursor is not of this query.
    #[error(transparent)]
    Cursor(#[from] MalformedCursor),
    /// The database said no.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Limit {
    /// How many rows a statement asks for: one more than the page has tells whether there is more.
    #[must_use]
    pub fn and_one(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// The page's rows of those that such a statement gave, and the cursor that `seal` makes of the
    /// last of them when there is more.
    pub fn page<Row>(
        self,
        rows: Vec<Json<Row>>,
        seal: impl FnOnce(&Row) -> String,
    ) -> (Vec<Row>, Option<String>) {
        let length = self.0 as usize;
        let more = rows.len() > length;
        let rows: Vec<Row> = rows.into_iter().take(length).map(|Json(row)| row).collect();
        let next_cursor = rows.last().filter(|_| more).map(seal);
        (rows, next_cursor)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50) // a screenful
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;
    fn try_from(limit: u32) -> Result<Self, &'static str> {
        if (1..=500).contains(&limit) { Ok(Self(limit)) } else { Err("must be 1 to 500") }
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Cursor(error) => Problem::bad_request("malformed_cursor", error.to_string())
                .error("cursor", "is not a cursor of this query"),
            PageError::Database(error) => unanswered(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h35_a_limit_is_1_to_500() {
        assert!(Limit::try_from(0).is_err());
        assert!(Limit::try_from(501).is_err());
        assert!(Limit::try_from(1_000_000_000).is_err());
        assert_eq!(Limit::try_from(500).unwrap().and_one(), 501);
    }

    #[test]
    fn a_page_has_a_cursor_when_there_is_more_and_only_then() {
        let rows = |count: i32| (1..=count).map(Json).collect::<Vec<_>>();
        let limit = Limit::try_from(2).unwrap();
        let page = |count| limit.page(rows(count), |last| format!("after {last}"));
        assert_eq!(page(0), (vec![], None));
        assert_eq!(page(2), (vec![1, 2], None));
        assert_eq!(page(3), (vec![1, 2], Some("after 2".to_owned())));
    }

    #[test]
    fn h34_a_cursor_of_another_query_is_400_and_a_database_that_is_away_503() {
        let problem = Problem::from(PageError::from(MalformedCursor));
        assert_eq!((problem.status().as_u16(), problem.code()), (400, "malformed_cursor"));
        let problem = Problem::from(PageError::from(sqlx::Error::PoolTimedOut));
        assert_eq!((problem.status().as_u16(), problem.code()), (503, "database_unavailable"));
    }
}
