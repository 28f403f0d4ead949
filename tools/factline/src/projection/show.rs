//! What is told about projections and their rebuilds.

use std::collections::BTreeMap;
use std::io::Write;

use factline_projection::inspect;
use factline_projection::rebuilds::{self, Difference, Progress, Rebuild, RowDifference};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::sources::{Projector, Sources};

/// One projection.
#[derive(Debug, Serialize)]
struct Listed {
    service: String,
    projection: String,
    /// Events that it has seen.
    position: i64,
    parked_streams: usize,
    /// Of its open rebuild.
    rebuild: Option<String>,
    /// Whether it can be rolled back.
    previous_kept: bool,
}

/// How many events each projection has seen.
pub(super) async fn positions(projector: &Projector) -> Result<BTreeMap<String, i64>, Failure> {
    let mut positions = BTreeMap::new();
    for row in inspect::checkpoints(&projector.database).await? {
        *positions.entry(row.projection).or_default() += row.position;
    }
    Ok(positions)
}

/// Lists projections.
pub(super) async fn list(json: bool, sources: &Sources) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    for projector in &sources.projectors {
        let streams = inspect::parked_streams(&projector.database).await?;
        let all = rebuilds::all(&projector.database).await?;
        let kept = rebuilds::kept(&projector.database).await?;
        for (projection, position) in positions(projector).await? {
            let open = all.iter().find(|one| one.projection == projection && one.is_open());
            let listed = Listed {
                service: projector.service.clone(),
                position,
                parked_streams: streams.iter().filter(|one| one.projection == projection).count(),
                rebuild: open.map(|one| one.state.clone()),
                previous_kept: kept.contains(&projection),
                projection,
            };
            let line = if json { serde_json::to_string(&listed)? } else { line(&listed) };
            writeln!(output, "{line}")?;
        }
    }
    Ok(true)
}

fn line(listed: &Listed) -> String {
    let Listed { service, projection, position, parked_streams, rebuild, previous_kept } = listed;
    let rebuild = rebuild.as_ref().map_or(String::new(), |state| format!(", rebuild {state}"));
    let kept = if *previous_kept { ", previous table kept" } else { "" };
    format!(
        "{projection}  {service}: {position} events, {parked_streams} streams parked{rebuild}{kept}"
    )
}

/// Lists rebuilds, oldest first.
pub(super) async fn rebuilds(
    name: Option<&str>,
    json: bool,
    sources: &Sources,
) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    let mut empty = true;
    for projector in &sources.projectors {
        let progress = rebuilds::progress(&projector.database).await?;
        let all = rebuilds::all(&projector.database).await?;
        for rebuild in all.iter().filter(|one| name.is_none_or(|name| one.projection == name)) {
            empty = false;
            let progress = progress.iter().find(|one| one.id == rebuild.id);
            let shown = if json {
                let seconds_left = progress.and_then(Progress::seconds_left);
                let progress = json!({ "progress": progress, "seconds_left": seconds_left });
                json!({ "rebuild": rebuild, "is": progress }).to_string()
            } else {
                paragraph(rebuild, progress)
            };
            writeln!(output, "{shown}")?;
        }
    }
    if empty && !json {
        writeln!(output, "nothing was rebuilt")?;
    }
    Ok(true)
}

/// A rebuild for a person.
pub(super) fn paragraph(rebuild: &Rebuild, progress: Option<&Progress>) -> String {
    let Rebuild { id, projection, who, reason, state, .. } = rebuild;
    let what = if rebuild.begins_with == "previous" { "rollback" } else { "rebuild" };
    let mut text = format!("{what} {id} of {projection}: {state}; asked by {who}: {reason}");
    let mut add = |line: String| text.push_str(&format!("\n    {line}"));
    if let Some(progress) = progress {
        let left = progress.seconds_left().map_or("unknown".to_owned(), |s| format!("{s:.0} s"));
        let Progress { done, total, events_per_second: rate, .. } = progress;
        add(format!("{done} of {total} events, {rate:.0} a second, {left} left"));
    }
    for said in &rebuild.said.0 {
        let reason = said.reason.as_deref().unwrap_or("no reason");
        add(format!("{} at {} by {}: {reason}", said.wish, said.at, said.who));
    }
    for (what, why) in [("waits", &rebuild.waiting), ("failed", &rebuild.error)] {
        if let Some(why) = why {
            add(format!("{what}: {why}"));
        }
    }
    if let Some(difference) = &rebuild.difference {
        for line in told(&difference.0) {
            add(line);
        }
    }
    if state == "ready" {
        let accept = format!("factline projection switch {projection} --accept-difference");
        add(format!("nothing was switched: `{accept}`, or `cancel`, each with --reason"));
    }
    text
}

fn told(difference: &Difference) -> Vec<String> {
    let Difference { missing, extra, different, .. } = difference;
    if difference.is_none() && difference.repaired_streams.is_empty() {
        return vec!["the rows were equal".to_owned()];
    }
    let mut lines = vec![format!(
        "{missing} rows the live table lacks, {extra} only it has, {different} differ"
    )];
    lines.extend(difference.samples.iter().map(sample));
    let (repaired, parked) = (&difference.repaired_streams, &difference.newly_parked_streams);
    if !repaired.is_empty() {
        lines.push(format!("streams that flow again: {}", repaired.join(", ")));
    }
    if !parked.is_empty() {
        lines.push(format!("streams that come to stand still: {}", parked.join(", ")));
    }
    lines
}

fn sample(row: &RowDifference) -> String {
    let column = |one: &rebuilds::ColumnDifference| {
        format!("{}: live {}, rebuilt {}", one.column, one.live, one.rebuilt)
    };
    let columns: Vec<_> = row.columns.iter().map(column).collect();
    format!("  {} {}: {}", row.what, row.key, columns.join("; "))
}
