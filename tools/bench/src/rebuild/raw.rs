//! Rows that are known in advance, by COPY.

use std::fmt::Write as _;

use sqlx::PgConnection;

use crate::failure::Failure;

/// As many as one page of a rebuild has.
const ROWS: u64 = 2_000;

/// Writes so many rows.
///
/// # Errors
/// The database fails.
pub(super) async fn copy(owner: &mut PgConnection, rows: u64) -> Result<u64, Failure> {
    let to = crate::append::ours::address(7);
    let mut written = 0;
    while written < rows {
        let upto = rows.min(written + ROWS);
        let mut text = String::new();
        for position in written + 1..=upto {
            let stream = position % 1_000;
            writeln!(text, "0\t{position}\tparcel-{stream:06}\t{to}")
                .map_err(|error| Failure::new(error.to_string()))?;
        }
        let mut copying = owner.copy_in_raw("copy sendings from stdin").await?;
        copying.send(text.into_bytes()).await?;
        written += copying.finish().await?;
    }
    Ok(written)
}

/// Whether the rows are there.
///
/// # Errors
/// The database fails.
pub(super) async fn check(
    owner: &mut PgConnection,
    rows: u64,
) -> Result<Result<String, String>, Failure> {
    let query = "select count(*) from sendings";
    let (found,): (i64,) = sqlx::query_as(query).fetch_one(owner).await?;
    let told = format!("{found} rows of {rows}");
    Ok(if found.unsigned_abs() == rows { Ok(told) } else { Err(told) })
}
