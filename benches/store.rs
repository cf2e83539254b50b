//! The store in PostgreSQL: `benches/store.sh`. Exits with 1 when a bound is missed.
//!
//! The figures are ratios of what is measured in turns in one run: what a disk does in a second changes from one second to
//! the next.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capcut_mcp::bench::Database;
use futures::future::join_all;
use tokio_postgres::NoTls;

const WRITERS: u32 = 64;
const TURNS: usize = 9;
const TURN: Duration = Duration::from_secs(2);
/// The bytes of a call: those of a usual one.
const BYTES: usize = 920;
/// Appends of the store for each plain insert, at least.
const LEAST: f64 = 0.8;
const DRAFTS: u32 = 10_000;
const JOBS: u32 = 10_000;

fn main() -> ExitCode {
    let Some(address) = std::env::args()
        .nth(1)
        .filter(|given| given.starts_with("postgres"))
    else {
        println!("run benches/store.sh: it starts a server and gives its address to this");
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    match runtime.block_on(run(&address)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("a bound is missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> Result<bool, String> {
    let store = Arc::new(Database::open(address)?);
    for number in 0..WRITERS {
        store.create(number).await?;
    }
    let plain = Plain::connect(address).await?;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let inserts = plain.turn().await?;
        let appends = appends(&store, WRITERS).await?;
        turns.push((appends / inserts, appends, inserts));
    }
    turns.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, appends_s, inserts_s) = turns[TURNS / 2];
    println!(
        "{WRITERS} writers: {appends_s:.0} durable appends/s; {WRITERS} connections with plain inserts: {inserts_s:.0}/s; \
         median ratio {ratio:.2} of {TURNS} turns, {:.2} to {:.2} (bound: at least {LEAST})",
        turns[0].0,
        turns[TURNS - 1].0
    );
    for writers in [1, 8] {
        println!(
            "{writers} writers: {:.0} durable appends/s",
            appends(&store, writers).await?
        );
    }
    for number in WRITERS..DRAFTS {
        store.create(number).await?;
    }
    let mut looks = Vec::new();
    for number in 0..50 {
        looks.push(store.look(number * 100).await?);
    }
    for (at, what) in ["a search in the list", "find by id", "the last position"]
        .into_iter()
        .enumerate()
    {
        let mut times: Vec<f64> = looks.iter().map(|times| times[at] * 1e3).collect();
        times.sort_by(f64::total_cmp);
        println!("{DRAFTS} drafts: {what} {:.2} ms", times[times.len() / 2]);
    }
    store.add_jobs(JOBS).await?;
    for workers in [1, 8] {
        let start = Instant::now();
        let ran = join_all((0..workers).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut ran = 0;
                while start.elapsed() < TURN && store.run_job().await? {
                    ran += 1;
                }
                Ok::<_, String>(ran)
            })
        }));
        let mut total = 0;
        for ran in ran.await {
            total += ran.map_err(|error| error.to_string())??;
        }
        let rate = f64::from(total) / start.elapsed().as_secs_f64();
        println!("{JOBS} waiting jobs: {workers} workers claim and end {rate:.0} jobs/s");
    }
    Ok(ratio >= LEAST)
}

/// Connections that insert rows of the same size, each row in a transaction of its own.
struct Plain(Vec<Arc<(tokio_postgres::Client, tokio_postgres::Statement)>>);

impl Plain {
    async fn connect(address: &str) -> Result<Self, String> {
        let mut connections = Vec::new();
        for number in 0..WRITERS {
            let connected = tokio_postgres::connect(address, NoTls).await;
            let (client, connection) = connected.map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            if number == 0 {
                let table = "CREATE TABLE plain (key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL)";
                client
                    .batch_execute(table)
                    .await
                    .map_err(|error| error.to_string())?;
            }
            let insert = client.prepare("INSERT INTO plain (body) VALUES ($1)").await;
            let insert = insert.map_err(|error| error.to_string())?;
            connections.push(Arc::new((client, insert)));
        }
        Ok(Self(connections))
    }

    /// Inserts a second.
    async fn turn(&self) -> Result<f64, String> {
        let body = "x".repeat(BYTES);
        let start = Instant::now();
        let inserting = self.0.iter().map(|connection| {
            let (connection, body) = (Arc::clone(connection), body.clone());
            tokio::spawn(async move {
                let mut rows = 0;
                while start.elapsed() < TURN {
                    rows += connection.0.execute(&connection.1, &[&body]).await?;
                }
                Ok::<_, tokio_postgres::Error>(rows)
            })
        });
        let mut rows = 0;
        for inserted in join_all(inserting).await {
            let inserted = inserted.map_err(|error| error.to_string())?;
            rows += inserted.map_err(|error| error.to_string())?;
        }
        Ok(rows as f64 / start.elapsed().as_secs_f64())
    }
}

/// Appends a second, of tasks that each have a draft and wait for every call.
async fn appends(store: &Arc<Database>, writers: u32) -> Result<f64, String> {
    let arguments = format!("\"{}\"", "x".repeat(BYTES - 20));
    let start = Instant::now();
    let appending = (0..writers).map(|number| {
        let (store, arguments) = (Arc::clone(store), arguments.clone());
        tokio::spawn(async move {
            let mut calls = 0;
            while start.elapsed() < TURN {
                store.append(number, &arguments).await?;
                calls += 1;
            }
            Ok::<u64, String>(calls)
        })
    });
    let mut calls = 0;
    for appended in join_all(appending).await {
        calls += appended.map_err(|error| error.to_string())??;
    }
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}
