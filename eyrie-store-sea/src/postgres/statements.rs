//! Statements of other people's, carried out under guard in the midst of a transaction.

use std::time::Instant;

use eyrie_core::store::{Parameter, Statement, Statements};
use sea_orm::sqlx::{self, AssertSqlSafe, Row};

use crate::{error::Failure, fault::Fault, migration::TABLES, postgres::PgTx, rows::STATEMENT_TIME};

/// The settings of these connections suit the store's own statements alone.
const BEGIN: &str = "SAVEPOINT step; SET LOCAL plan_cache_mode = auto; SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; \
    SET LOCAL enable_mergejoin = on";
const END: &str = "RELEASE SAVEPOINT step; SET LOCAL statement_timeout TO DEFAULT; SET LOCAL plan_cache_mode TO DEFAULT; \
    SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT";
/// Takes the settings back, too.
const GIVE_UP: &str = "ROLLBACK TO SAVEPOINT step; RELEASE SAVEPOINT step";
/// The transaction, and how often it has looked into or written to Eyrie's tables.
const LOOK: &str = "SELECT pg_current_xact_id()::text, COALESCE(SUM(seq_scan + COALESCE(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del), 0)::int8 \
    FROM pg_stat_xact_user_tables WHERE schemaname = current_schema() AND relname = ANY($1)";

impl PgTx {
    /// Carries out the statements in order. The inner error: none of them left anything, and why.
    pub(crate) async fn carry_out(&mut self, statements: &Statements) -> Result<Result<(), String>, Failure> {
        let before = self.look().await?;
        let begin = format!("{BEGIN}; SET LOCAL statement_timeout = {}", STATEMENT_TIME.as_millis());
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(self.connection()?).await?;
        let mut done = self.carry_out_all(statements).await?;
        if done.is_ok() {
            let after = self.look().await?;
            if after.0 != before.0 {
                return Err(Failure::Spoilt("a statement ended the transaction".to_owned()));
            }
            if after.1 != before.1 {
                done = Err("the statements touch a table of Eyrie's".to_owned());
            }
        }
        sqlx::raw_sql(if done.is_ok() { END } else { GIVE_UP }).execute(self.connection()?).await?;
        Ok(done)
    }

    async fn look(&mut self) -> Result<(String, i64), Failure> {
        let row = sqlx::query(LOOK).bind(TABLES).fetch_one(self.connection()?).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    async fn carry_out_all(&mut self, statements: &Statements) -> Result<Result<(), String>, Failure> {
        let until = Instant::now() + STATEMENT_TIME;
        for (place, statement) in statements.iter().enumerate() {
            let failed = match query(statement).execute(self.connection()?).await {
                Ok(_) if Instant::now() > until => Err(format!("with those before it, it took longer than {STATEMENT_TIME:?}")),
                Ok(done) => statement.touched(done.rows_affected()),
                Err(error) => Err(statement.redacted(&own_fault(error)?)),
            };
            if let Err(why) = failed {
                return Ok(Err(format!("statement {} failed: {why}", place + 1)));
            }
        }
        // What was put off until the commit is looked at now, while it can still be told whose fault it is.
        match sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(self.connection()?).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => Ok(Err(statements.iter().fold(own_fault(error)?, |why, statement| statement.redacted(&why)))),
        }
    }
}

/// What the server says is wrong with the statement; the error itself, if it is not the statement's fault.
fn own_fault(error: sqlx::Error) -> Result<String, Failure> {
    let Some(said) = error.as_database_error() else { return Err(error.into()) };
    let (code, message) = (said.code().unwrap_or_default().into_owned(), said.message().to_owned());
    match code.as_str() {
        "57014" => Ok(format!("it was ended after {STATEMENT_TIME:?}")),
        // A lock that it did not get, or a number of parameters that is not the statement's.
        "55P03" | "08P01" => Ok(message),
        _ => match Failure::from(error) {
            Failure::Statement(cause) if matches!(Fault::of(&cause), Fault::Taken(_) | Fault::Reference | Fault::Other) => Ok(message),
            failure => Err(failure),
        },
    }
}

fn query(statement: &Statement) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let query = sqlx::query(AssertSqlSafe(statement.sql())).persistent(false);
    statement.parameters().iter().fold(query, |query, parameter| match parameter {
        Parameter::Bool(yes) => query.bind(*yes),
        Parameter::Int(number) => query.bind(*number),
        Parameter::Float(number) => query.bind(*number),
        Parameter::Text(text) => query.bind(text.as_deref()),
        Parameter::Bytes(bytes) => query.bind(bytes.as_deref()),
        Parameter::Uuid(id) => query.bind(*id),
        _ => query,
    })
}
