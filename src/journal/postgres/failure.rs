//! What errors of the database mean.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use super::address::DatabaseAddress;
use super::schema::Unfit;
use crate::error::{Error, Kind, Origin};

/// What a statement's error says about its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It surely had none, and may be sent again at once.
    Again,
    /// The connection is lost: it may have had one.
    Unknown,
    /// It surely had none, and needs a connection to another server: this one only answers queries.
    Elsewhere,
    /// It surely had none, and will not have one.
    None,
}

/// The effect of a statement that failed.
pub(super) fn effect(error: &tokio_postgres::Error) -> Effect {
    match error.code() {
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Effect::Elsewhere,
        Some(code) if is_disconnect(code) => Effect::Unknown,
        Some(
            &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::T_R_DEADLOCK_DETECTED
            // A call or a job that another connection added at the same time.
            | &SqlState::UNIQUE_VIOLATION,
        ) => Effect::Again,
        Some(_) => Effect::None,
        // A library's own message about a parameter or a column comes before or after the statement's work; all others
        // are about the connection.
        None if is_library(error) => Effect::None,
        None => Effect::Unknown,
    }
}

fn is_library(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    text.starts_with("error serializing") || text.starts_with("error encoding")
}

/// The server ends the connection.
fn is_disconnect(code: &SqlState) -> bool {
    code.code().starts_with("08")
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::DATABASE_DROPPED,
        ]
        .contains(code)
}

/// Whether opening a connection may succeed a little later.
pub(super) fn may_open_later(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => is_disconnect(code) || code.code().starts_with("53"),
        None => {
            let text = error.to_string();
            !["TLS", "authentication", "configuration"]
                .iter()
                .any(|lasting| text.contains(lasting))
        }
    }
}

fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// No connection could be opened.
pub(super) fn unreachable(address: &DatabaseAddress, error: &tokio_postgres::Error) -> Error {
    let reason = reason(error);
    let hint = match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "check the user and the password in the address of the store, and `pg_hba.conf` of the server"
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => {
            "make the database with `createdb`, or correct its name in the address of the store"
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => "grant the user CONNECT on the database",
        Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            "raise `max_connections` of the server, or put a pooler in front of it; calls go on as soon as a connection is free"
        }
        None if error.to_string().contains("TLS") => {
            "check `sslmode` and `sslrootcert` in the address of the store, and the names in the server's certificate"
        }
        _ => {
            "check that PostgreSQL runs there and can be reached from this machine; calls go on when it is back, without a restart"
        }
    };
    Error::new(
        Kind::Unsent,
        format!("the {address} cannot be reached: {reason}; nothing was changed"),
    )
    .hint(hint)
    .with_origin(Origin::Connection)
}

/// No connection could be opened in time, and it is not known why.
pub(super) fn silent(address: &DatabaseAddress) -> Error {
    Error::new(
        Kind::Unsent,
        format!("the {address} does not answer; nothing was changed"),
    )
    .hint("check that PostgreSQL runs there and can be reached from this machine; calls go on when it is back, without a restart")
    .with_origin(Origin::Connection)
}

/// All connections of this process are in use.
pub(super) fn crowded(address: &DatabaseAddress, connections: usize) -> Error {
    Error::new(
        Kind::Busy,
        format!(
            "all {connections} connections of this process to the {address} are in use; nothing was changed"
        ),
    )
    .hint("send the call again in a few seconds; if this happens often, check what slows the database down")
}

/// A statement was sent, the connection was lost, and no other one could answer whether it ran.
pub(super) fn unknown_outcome(address: &DatabaseAddress, why: &Error) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("the connection to the {address} broke off, and whether the change was stored is not known: {}",
            why.message.trim_end_matches("; nothing was changed")),
    )
    .hint("when the database is back, read the draft or the job before you send the call again")
    .with_origin(Origin::Connection)
}

/// A statement has no answer in time.
pub(super) fn late(address: &DatabaseAddress, seconds: u64, writes: bool) -> Error {
    let (outcome, hint) = if writes {
        (
            "; whether the change was stored is not known",
            "read the draft or the job before you send the call again; check what slows the database down",
        )
    } else {
        (
            "",
            "send the call again; check what slows the database down",
        )
    };
    Error::new(
        Kind::Timeout,
        format!("the {address} did not answer within {seconds} s{outcome}"),
    )
    .hint(hint)
    .with_origin(Origin::Connection)
}

/// A statement failed, surely without effect.
pub(super) fn failed(address: &DatabaseAddress, error: &tokio_postgres::Error) -> Error {
    let reason = reason(error);
    let (kind, hint) = match error.code() {
        Some(code) if code.code().starts_with("53") => (
            Kind::Unavailable,
            "give the database server more space or memory, then send the call again",
        ),
        Some(&SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE) => (
            Kind::Timeout,
            "send the call again; check what slows the database down, and `statement_timeout` of the user",
        ),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => (
            Kind::Unavailable,
            "grant the user of the store CREATE on the database, or let an administrator make the schema `capcut_mcp` with this user as its owner",
        ),
        Some(
            &SqlState::UNDEFINED_TABLE
            | &SqlState::UNDEFINED_COLUMN
            | &SqlState::INVALID_SCHEMA_NAME,
        ) => (
            Kind::Unavailable,
            "the tables of the schema `capcut_mcp` were removed or changed: restore them from a backup, then restart",
        ),
        Some(code) if code.code().starts_with("54") => (
            Kind::InvalidArgument,
            "a name or key is too long for an index of the database: use a shorter one",
        ),
        _ => (Kind::Internal, "check the log of the database server"),
    };
    Error::new(
        kind,
        format!("the {address} refused a change or a query: {reason}"),
    )
    .hint(hint)
}

/// The database cannot be used as it is.
pub(super) fn unfit(address: &DatabaseAddress, unfit: Unfit) -> Error {
    let (what, hint) = match unfit {
        Unfit::OldServer(version) => (
            format!("is PostgreSQL {version}"),
            "use PostgreSQL 13 or later".to_owned(),
        ),
        Unfit::Encoding(encoding) => (
            format!("has the encoding {encoding}"),
            "make a database with the encoding UTF8: `createdb -E UTF8 -T template0 NAME`".to_owned(),
        ),
        Unfit::Newer(version) => (
            format!("was changed by a newer version of capcut-mcp: its tables have version {version}"),
            "run that version, or restore a backup into another database".to_owned(),
        ),
        Unfit::ReadOnly => (
            "only answers queries".to_owned(),
            "name the primary server in the address of the store, or all servers with `target_session_attrs=read-write`"
                .to_owned(),
        ),
    };
    Error::new(Kind::Unavailable, format!("the {address} {what}"))
        .hint(hint)
        .lasting()
}

/// What was read is not what was stored.
pub(super) fn damaged(address: &DatabaseAddress, what: &str) -> Error {
    Error::internal(format!("the {address} is damaged: {what}"))
        .hint("restore the store from a backup")
}
