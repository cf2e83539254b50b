//! Connections to a database, and statements that survive the loss of one.
//!
//! A statement is one message with one answer, without a name and without anything that stays in the session, so that a
//! pooler in front may give each statement another connection. If a connection breaks after a statement was sent, the
//! same statement is sent on another one: each is written so that it changes nothing a second time, and says what the
//! first one did.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, IsolationLevel, Row};
use tokio_util::task::AbortOnDropHandle;

use super::address::DatabaseAddress;
use super::failure::{self, Effect};
use super::schema::{self, Unfit};
use crate::error::{Error, Result};

/// Connections of a process, at most; one more listens.
pub(super) const CONNECTIONS: usize = 10;

/// The time for a statement, also if its connection is lost or the database is away: callers wait.
const QUICK: Duration = Duration::from_secs(5);
/// The same for one that reads or removes much.
const LONG: Duration = Duration::from_mins(2);
/// The time to open a connection to a database that has been away for longer than [`QUICK`].
const AWAY: Duration = Duration::from_secs(1);
/// How long to wait before another attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// The values of a statement, with their types: so it needs no question to the server.
pub(super) type SqlValues<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

macro_rules! values {
    ($($type:ident $value:expr),* $(,)?) => {
        &[$((&$value as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::$type)),*]
    };
}
pub(super) use values;

/// What a statement does, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatementWork {
    Look,
    Read,
    Write,
    Remove,
}

/// The answer to a statement.
pub(super) struct StatementAnswer {
    pub rows: Vec<Row>,
    /// An earlier attempt may have run: what this one found may be its work.
    pub again: bool,
}

#[derive(Debug)]
pub(super) struct DatabasePool {
    pub address: DatabaseAddress,
    idle: Mutex<Vec<PooledConnection>>,
    slots: Semaphore,
    migrated: OnceCell<()>,
    /// Since when no connection could be opened.
    away: Mutex<Option<Instant>>,
}

/// An open connection; it is closed when this is dropped.
struct PooledConnection {
    client: Client,
    _task: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransactionUse {
    /// All its statements see the database as it was at the first one.
    Snapshot,
    Write,
}

/// A transaction on a connection of its own. If the connection breaks, nothing is repeated and nothing was changed, unless it
/// breaks during the commit.
pub(super) struct DatabaseTransaction<'a> {
    database: &'a DatabasePool,
    transaction: tokio_postgres::Transaction<'a>,
}

impl<'a> DatabaseTransaction<'a> {
    pub(super) fn database(&self) -> &'a DatabasePool {
        self.database
    }

    pub(super) async fn query(&self, sql: &str, values: SqlValues<'_>) -> Result<Vec<Row>> {
        match timeout(LONG, self.transaction.query_typed(sql, values)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(self.database.explained(&error, false)),
            Err(_) => Err(failure::late(&self.database.address, LONG.as_secs(), false)),
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        match timeout(LONG, self.transaction.commit()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.database.explained(&error, true)),
            Err(_) => Err(failure::late(&self.database.address, LONG.as_secs(), true)),
        }
    }
}

/// A connection in use.
pub(super) struct HeldConnection<'a> {
    database: &'a DatabasePool,
    connection: Option<PooledConnection>,
    _slot: SemaphorePermit<'a>,
}

impl HeldConnection<'_> {
    /// Begins a transaction.
    pub(super) async fn begin(&mut self, used: TransactionUse) -> Result<DatabaseTransaction<'_>> {
        let database = self.database;
        let Some(connection) = &mut self.connection else {
            return Err(Error::internal("a connection is missing"));
        };
        let begun = connection.client.build_transaction();
        let begun = match used {
            TransactionUse::Snapshot => begun
                .read_only(true)
                .isolation_level(IsolationLevel::RepeatableRead)
                .start(),
            TransactionUse::Write => begun.start(),
        };
        Ok(DatabaseTransaction {
            database,
            transaction: begun
                .await
                .map_err(|error| database.explained(&error, false))?,
        })
    }

    /// Puts the connection back for the next statement. Without this it is closed.
    pub(super) fn keep(mut self) {
        if let Some(connection) = self.connection.take().filter(|own| !own.client.is_closed()) {
            self.database.idle().push(connection);
        }
    }
}

impl DatabasePool {
    /// Does no I/O.
    pub(super) fn new(address: DatabaseAddress) -> Self {
        Self {
            address,
            idle: Mutex::default(),
            slots: Semaphore::new(CONNECTIONS),
            migrated: OnceCell::new(),
            away: Mutex::default(),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PooledConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement.
    pub(super) async fn run(
        &self,
        work: StatementWork,
        sql: &str,
        values: SqlValues<'_>,
    ) -> Result<StatementAnswer> {
        let limit = match work {
            StatementWork::Look | StatementWork::Write => QUICK,
            StatementWork::Read | StatementWork::Remove => LONG,
        };
        let writes = matches!(work, StatementWork::Write | StatementWork::Remove);
        let until = Instant::now() + limit;
        let mut again = false;
        loop {
            let held = match self.connection(until.min(Instant::now() + QUICK)).await {
                Ok(held) => held,
                Err(error) if again && writes => {
                    return Err(failure::unknown_outcome(&self.address, &error));
                }
                Err(error) => return Err(error),
            };
            let Some(connection) = &held.connection else {
                return Err(Error::internal("a connection is missing"));
            };
            let answer = timeout_at(until, connection.client.query_typed(sql, values)).await;
            match answer {
                Ok(Ok(rows)) => {
                    held.keep();
                    return Ok(StatementAnswer { rows, again });
                }
                Ok(Err(error)) => match failure::effect(&error) {
                    Effect::Unknown => {
                        tracing::debug!("a connection to the {} was lost: {error}", self.address);
                        drop(held);
                        // The others were lost with it.
                        self.idle().clear();
                        if Instant::now() + PAUSE >= until {
                            let error = failure::unreachable(&self.address, &error);
                            return Err(if writes {
                                failure::unknown_outcome(&self.address, &error)
                            } else {
                                error
                            });
                        }
                        again = true;
                        sleep(PAUSE).await;
                    }
                    Effect::Elsewhere => {
                        drop(held);
                        self.idle().clear();
                        if Instant::now() + PAUSE >= until {
                            return Err(failure::unfit(&self.address, Unfit::ReadOnly));
                        }
                        sleep(PAUSE).await;
                    }
                    Effect::Again if Instant::now() + PAUSE < until => {
                        held.keep();
                        sleep(Duration::from_millis(fastrand::u64(1..20))).await;
                    }
                    Effect::Again | Effect::None => {
                        held.keep();
                        return Err(failure::failed(&self.address, &error));
                    }
                },
                Err(_) => {
                    return Err(failure::late(&self.address, limit.as_secs(), writes));
                }
            }
        }
    }

    /// The first row of an answer, if there is one.
    pub(super) async fn one(
        &self,
        work: StatementWork,
        sql: &str,
        values: SqlValues<'_>,
    ) -> Result<Option<Row>> {
        Ok(self.run(work, sql, values).await?.rows.into_iter().next())
    }

    /// A value of a row.
    pub(super) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
        &self,
        row: &'a Row,
        column: usize,
    ) -> Result<T> {
        row.try_get(column)
            .map_err(|error| failure::damaged(&self.address, &error.to_string()).source(error))
    }

    /// A connection for a transaction.
    pub(super) async fn long_connection(&self) -> Result<HeldConnection<'_>> {
        self.connection(Instant::now() + QUICK).await
    }

    async fn connection(&self, until: Instant) -> Result<HeldConnection<'_>> {
        let Ok(Ok(slot)) = timeout_at(until, self.slots.acquire()).await else {
            return Err(failure::crowded(&self.address, CONNECTIONS));
        };
        let idle = {
            let mut idle = self.idle();
            idle.retain(|connection| !connection.client.is_closed());
            idle.pop()
        };
        let connection = match idle {
            Some(connection) => connection,
            None => self.open(until).await?,
        };
        Ok(HeldConnection {
            database: self,
            connection: Some(connection),
            _slot: slot,
        })
    }

    /// Opens a connection; waits for a database that is about to start.
    async fn open(&self, until: Instant) -> Result<PooledConnection> {
        let away = *self.away();
        let until = match away {
            Some(since) if since.elapsed() > QUICK => until.min(Instant::now() + AWAY),
            _ => until,
        };
        loop {
            let connected = timeout_at(until, self.connect_once()).await;
            match connected {
                Ok(Ok(mut connection)) => {
                    let migrated = self
                        .migrated
                        .get_or_try_init(|| self.migrate(&mut connection.client));
                    match timeout_at(Instant::now() + LONG, migrated).await {
                        Ok(migrated) => migrated?,
                        Err(_) => return Err(failure::late(&self.address, LONG.as_secs(), false)),
                    };
                    if self.away().take().is_some() {
                        tracing::info!("the {} is back", self.address);
                    }
                    return Ok(connection);
                }
                Ok(Err(error)) => {
                    let error = if failure::may_open_later(&error) && Instant::now() + PAUSE < until
                    {
                        sleep(PAUSE).await;
                        continue;
                    } else {
                        failure::unreachable(&self.address, &error)
                    };
                    self.is_away(&error);
                    return Err(error);
                }
                Err(_) => {
                    let error = failure::silent(&self.address);
                    self.is_away(&error);
                    return Err(error);
                }
            }
        }
    }

    fn is_away(&self, error: &Error) {
        let mut away = self.away();
        if away.is_none() {
            tracing::warn!("{}", error.cause());
            *away = Some(Instant::now());
        }
    }

    async fn connect_once(&self) -> Result<PooledConnection, tokio_postgres::Error> {
        let (client, connection) = self
            .address
            .config
            .connect(self.address.tls.0.clone())
            .await?;
        let task = tokio::spawn(async move {
            // Its error is also that of the statement that waits.
            let _ = connection.await;
        });
        Ok(PooledConnection {
            client,
            _task: AbortOnDropHandle::new(task),
        })
    }

    async fn migrate(&self, client: &mut Client) -> Result<()> {
        match schema::migrate(client, schema::STEPS).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(unfit)) => Err(failure::unfit(&self.address, unfit)),
            Err(error) => Err(self.explained(&error, false)),
        }
    }

    /// Why work that is not repeated failed. `writes`: it may have been done although its answer was lost.
    fn explained(&self, error: &tokio_postgres::Error, writes: bool) -> Error {
        match failure::effect(error) {
            Effect::Unknown => {
                let away = failure::unreachable(&self.address, error);
                if writes {
                    failure::unknown_outcome(&self.address, &away)
                } else {
                    away
                }
            }
            Effect::Elsewhere => failure::unfit(&self.address, Unfit::ReadOnly),
            Effect::Again | Effect::None => failure::failed(&self.address, error),
        }
    }
}

/// A duration in milliseconds, as statements take it: at most about a million years, so that sums do not overflow.
pub(super) fn millis(duration: Duration) -> i64 {
    const MOST: i64 = 1 << 55;
    i64::try_from(duration.as_millis()).map_or(MOST, |ms| ms.min(MOST))
}
