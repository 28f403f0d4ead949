//! The tables of a rebuild: the live one, the one beside it, the one that is kept; as generic SQL. What is
//! noted about them (positions, parked rows) goes with them, under `NAME/next` and `NAME/previous`.

use sqlx::{AssertSqlSafe, PgConnection};

use super::Setback;
use crate::projection::NEXT;

/// Behind a table's name: the one that a switch has kept.
const PREVIOUS: &str = "__previous";
/// What Postgres keeps of a name, in bytes; a longer one is cut, and two may become one.
const NAME_BYTES: usize = 63;

/// Which of the two that are not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Next,
    Previous,
}

/// Names of one view and its tables.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    projection: String,
    pub(super) live: String,
    pub(super) key: &'static [&'static str],
}

const OBSTACLES: &str = "
    select what from (
        select 1 as nth, 'it is no plain table' as what
        from pg_class where oid = to_regclass($1) and relkind <> 'r'
        union all select 2, 'it has triggers'
        from pg_trigger where tgrelid = to_regclass($1) and not tgisinternal
        union all select 3, 'a foreign key leads from it or to it'
        from pg_constraint
        where contype = 'f' and to_regclass($1) in (conrelid::regclass, confrelid::regclass)
        union all select 4, 'it has row level security'
        from pg_class where oid = to_regclass($1) and relrowsecurity
        union all select 5, 'a view or rule is made of it'
        from pg_depend d join pg_rewrite r on r.oid = d.objid
        where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
          and d.refobjid = to_regclass($1)
        union all select 6, 'it has a sequence of its own'
        from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
        where d.classid = 'pg_class'::regclass and d.refobjid = to_regclass($1) and d.deptype = 'a'
        union all select 7, 'there is no such table' where to_regclass($1) is null
    ) o order by nth limit 1";

const GRANTS: &str = "
    select format('grant %s on %s to %s', a.privilege_type, $2::text,
                  case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end)
    from pg_class c cross join lateral aclexplode(c.relacl) a
    where c.oid = to_regclass($1) and a.grantee <> c.relowner";

/// Indexes that say the same about the two tables, by what they say.
const TWIN_INDEXES: &str = "
    with said as (
        select i.indrelid, format('%I.%I', n.nspname, c.relname) as name, c.relname as bare,
               regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', '') as what,
               i.indisprimary, i.indisunique,
               row_number() over (
                   partition by i.indrelid, i.indisprimary, i.indisunique,
                       regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', '')
                   order by i.indexrelid) as nth
        from pg_index i join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace
        where i.indrelid in (to_regclass($1), to_regclass($2))
    )
    select o.name, quote_ident(o.bare), n.name, quote_ident(n.bare)
    from said o join said n using (what, indisprimary, indisunique, nth)
    where o.indrelid = to_regclass($1) and n.indrelid = to_regclass($2)";

const COLUMNS: &str = "
    select a.attname::text || ' ' || format_type(a.atttypid, a.atttypmod)
           || case when a.attnotnull then ' not null' else '' end || a.attgenerated::text
    from pg_attribute a
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
    order by a.attname";

impl Side {
    fn suffix(self) -> &'static str {
        match self {
            Self::Next => NEXT,
            Self::Previous => PREVIOUS,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Next => "/next",
            Self::Previous => "/previous",
        }
    }
}

impl Tables {
    pub(super) fn new(projection: &str, live: &str, key: &'static [&'static str]) -> Self {
        Self { projection: projection.to_owned(), live: live.to_owned(), key }
    }

    /// The table, as in SQL.
    pub(super) fn table(&self, side: Side) -> String {
        format!("{}{}", self.live, side.suffix())
    }

    /// What is noted about it is under this name.
    pub(super) fn book(&self, side: Side) -> String {
        format!("{}{}", self.projection, side.label())
    }

    /// Refuses a table whose copy would not be the same to others, or that others hold on to.
    pub(super) async fn check(&self, tx: &mut PgConnection) -> Result<(), Setback> {
        let refuse = |what: &str| {
            Err(Setback::Failed(format!("{} cannot be rebuilt beside itself: {what}", self.live)))
        };
        if bare(&self.table(Side::Previous)).len() > NAME_BYTES {
            return refuse("its name is too long for a name behind it");
        }
        let obstacle: Option<String> =
            sqlx::query_scalar(OBSTACLES).bind(&self.live).fetch_optional(tx).await?;
        obstacle.map_or(Ok(()), |what| refuse(&what))
    }

    /// Makes the empty table beside the live one, with its constraints, indexes and grants.
    pub(super) async fn make_next(&self, tx: &mut PgConnection) -> Result<(), Setback> {
        let next = self.table(Side::Next);
        execute(tx, format!("create table {next} (like {} including all)", self.live)).await?;
        // What its rows leave room for is a matter of the table, which LIKE does not copy.
        let options: Option<Vec<String>> =
            sqlx::query_scalar("select reloptions from pg_class where oid = to_regclass($1)")
                .bind(&self.live)
                .fetch_one(&mut *tx)
                .await?;
        if let Some(options) = options {
            execute(tx, format!("alter table {next} set ({})", options.join(", "))).await?;
        }
        let grants: Vec<String> =
            sqlx::query_scalar(GRANTS).bind(&self.live).bind(&next).fetch_all(&mut *tx).await?;
        for grant in grants {
            execute(tx, grant).await?;
        }
        Ok(())
    }

    /// Refuses tables whose columns are not the same.
    pub(super) async fn check_columns(&self, tx: &mut PgConnection) -> Result<(), Setback> {
        let live: Vec<String> =
            sqlx::query_scalar(COLUMNS).bind(&self.live).fetch_all(&mut *tx).await?;
        let next: Vec<String> =
            sqlx::query_scalar(COLUMNS).bind(self.table(Side::Next)).fetch_all(tx).await?;
        if live == next {
            return Ok(());
        }
        let odd = live.iter().filter(|one| !next.contains(one));
        let odd: Vec<_> = odd.chain(next.iter().filter(|one| !live.contains(one))).collect();
        let live = &self.live;
        Err(Setback::Failed(format!("{live} and the table beside it differ in columns: {odd:?}")))
    }

    /// Drops one, with all that is noted about it.
    pub(super) async fn drop(&self, tx: &mut PgConnection, side: Side) -> Result<(), sqlx::Error> {
        execute(tx, format!("drop table if exists {}", self.table(side))).await?;
        for noted in ["rebuild_positions", "parked_events", "parked_streams"] {
            let sql = format!("delete from projection.{noted} where projection = $1");
            sqlx::query(AssertSqlSafe(sql)).bind(self.book(side)).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Makes the one the other, with all that is noted about it.
    pub(super) async fn turn(
        &self,
        tx: &mut PgConnection,
        from: Side,
        to: Side,
    ) -> Result<(), sqlx::Error> {
        rename(tx, &self.table(from), &self.table(to)).await?;
        self.rename_book(tx, "rebuild_positions", &self.book(from), &self.book(to)).await?;
        self.rename_parked(tx, &self.book(from), &self.book(to)).await
    }

    /// The live table becomes the previous one and the next one live; each keeps what it has parked,
    /// and indexes keep their names with the live table. The caller holds every checkpoint.
    pub(super) async fn swap(&self, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (next, previous) = (self.table(Side::Next), self.table(Side::Previous));
        self.drop(tx, Side::Previous).await?;
        let twins: Vec<(String, String, String, String)> =
            sqlx::query_as(TWIN_INDEXES).bind(&self.live).bind(&next).fetch_all(&mut *tx).await?;
        rename(tx, &self.live, &previous).await?;
        rename(tx, &next, &self.live).await?;
        for (old, old_bare, new, new_bare) in twins {
            let schema = old.strip_suffix(&old_bare).unwrap_or_default();
            execute(tx, format!("alter index {old} rename to factline_swapped_index")).await?;
            execute(tx, format!("alter index {new} rename to {old_bare}")).await?;
            let swapped = format!("{schema}factline_swapped_index");
            execute(tx, format!("alter index {swapped} rename to {new_bare}")).await?;
        }
        let positions = (self.book(Side::Next), self.book(Side::Previous)); // the same for both
        self.rename_book(tx, "rebuild_positions", &positions.0, &positions.1).await?;
        self.rename_parked(tx, &self.projection, &self.book(Side::Previous)).await?;
        self.rename_parked(tx, &self.book(Side::Next), &self.projection).await
    }

    async fn rename_parked(
        &self,
        tx: &mut PgConnection,
        from: &str,
        to: &str,
    ) -> Result<(), sqlx::Error> {
        self.rename_book(tx, "parked_events", from, to).await?;
        self.rename_book(tx, "parked_streams", from, to).await
    }

    async fn rename_book(
        &self,
        tx: &mut PgConnection,
        noted: &str,
        from: &str,
        to: &str,
    ) -> Result<(), sqlx::Error> {
        let sql = format!("update projection.{noted} set projection = $2 where projection = $1");
        sqlx::query(AssertSqlSafe(sql)).bind(from).bind(to).execute(tx).await?;
        Ok(())
    }
}

async fn rename(tx: &mut PgConnection, from: &str, to: &str) -> Result<(), sqlx::Error> {
    execute(tx, format!("alter table {from} rename to {}", bare(to))).await
}

/// A name without its schema, which a rename does not take.
fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

async fn execute(tx: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx).await?;
    Ok(())
}
