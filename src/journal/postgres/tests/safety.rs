//! TLS, passwords, and what the server refuses.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::super::address::DatabaseAddress;
use super::*;

/// Runs `openssl`; false if it is not installed.
fn openssl(folder: &Path, arguments: &str) -> bool {
    let ran = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output();
    match ran {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments}: {text}");
            true
        }
        Err(_) => false,
    }
}

/// A server with TLS on TCP, whose certificate is for `localhost`, and the certificate of its issuer.
fn server_with_tls(folder: &Path) -> Option<(TestServer, u16)> {
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=Issuer -keyout ca.key -out ca.pem",
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=Other -keyout other.key -out other.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem",
    ] {
        if !openssl(folder, arguments) {
            eprintln!("skipped: openssl is not installed");
            return None;
        }
    }
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let server = TestServer::start(port, "")?;
    for name in ["server.key", "server.pem"] {
        server.write(name, &std::fs::read_to_string(folder.join(name)).unwrap());
    }
    server.write(
        "pg_hba.conf",
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n",
    );
    server.configure(
        "listen_addresses = 'localhost'\nssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n",
    );
    server.stop("fast");
    server.run();
    Some((server, port))
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn certificates_are_verified_as_the_address_asks_and_passwords_are_not_shown() {
    const PASSWORD: &str = "hunter2hunter2";
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = server_with_tls(folder.path()) else {
        return;
    };
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    server.sql(
        "postgres",
        &format!("CREATE ROLE capcut LOGIN PASSWORD '{PASSWORD}'"),
    );
    server.sql("postgres", "CREATE DATABASE drafts OWNER capcut");
    let address = |host: &str, password: &str, mode: &str, issuer: &str| {
        let issuer = match issuer {
            "" => String::new(),
            name => format!("&sslrootcert={}", folder.path().join(name).display()),
        };
        format!("postgres://capcut:{password}@{host}:{port}/drafts?sslmode={mode}{issuer}")
    };
    let mut errors = Vec::new();
    for (host, mode, issuer, part) in [
        ("localhost", "verify-full", "ca.pem", ""),
        ("127.0.0.1", "verify-full", "ca.pem", "TLS"),
        ("127.0.0.1", "verify-ca", "ca.pem", ""),
        ("localhost", "verify-full", "other.pem", "TLS"),
        ("localhost", "verify-ca", "other.pem", "TLS"),
        ("localhost", "require", "other.pem", "TLS"),
        // The operating system does not trust the issuer.
        ("localhost", "verify-full", "", "TLS"),
        ("localhost", "require", "", ""),
        ("localhost", "prefer", "", ""),
        ("localhost", "disable", "", "pg_hba.conf"),
    ] {
        let case = format!("{host} {mode} {issuer}");
        let journal = journal(&address(host, PASSWORD, mode, issuer));
        match journal.list(false, 1, None).await {
            Ok(_) => assert_eq!(part, "", "{case}"),
            Err(error) => {
                let text = error.to_string();
                assert!(!part.is_empty() && text.contains(part), "{case}: {text}");
                assert_eq!(error.kind, Kind::Unsent, "{case}: {text}");
                errors.push(format!("{text} {error:?}"));
            }
        }
    }
    // With TLS, the password is bound to the connection.
    let ssl = client_through_tls(&address("localhost", PASSWORD, "verify-full", "ca.pem")).await;
    assert_eq!(ssl, "t TLSv1.3");
    let wrong = journal(&address("localhost", "wrong-secret", "require", ""));
    let error = wrong.list(false, 1, None).await.unwrap_err();
    let text = error.to_string();
    for part in ["\"drafts\"", "localhost", "\"capcut\"", "password"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    errors.push(format!("{text} {error:?} {wrong:?}"));
    let missing = address("localhost", PASSWORD, "require", "").replace("/drafts", "/nowhere");
    let error = journal(&missing).list(false, 1, None).await.unwrap_err();
    assert!(error.to_string().contains("createdb"), "{error}");
    errors.push(format!("{error} {error:?}"));
    let log = String::from_utf8_lossy(&logged.0.lock().unwrap()).into_owned();
    assert!(log.contains("cannot be reached"), "{log}");
    errors.push(log);
    for text in errors {
        for secret in [PASSWORD, "wrong-secret"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// Whether a connection has TLS, and its version.
async fn client_through_tls(url: &str) -> String {
    let address = DatabaseAddress::parse(url).unwrap();
    let connect = address.config.connect(address.tls.0.clone());
    let (client, connection) = connect.await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT concat_ws(' ', ssl, version) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_with_what_to_do() {
    let Some(server) = TestServer::shared() else {
        return;
    };
    let refused = async |url: &str, parts: &[&str]| {
        let error = journal(url).list(false, 1, None).await.unwrap_err();
        for part in parts {
            assert!(error.to_string().contains(part), "{part:?} in {error}");
        }
        assert!(error.next_step().is_some(), "{error}");
    };
    server.sql(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    refused(&server.address("latin"), &["LATIN1", "UTF8"]).await;
    refused(&server.address("nowhere"), &["\"nowhere\"", "createdb"]).await;
    let url = server.database();
    let name = url.rsplit('/').next().unwrap();
    server.sql("postgres", "CREATE ROLE guest LOGIN");
    let guest = url.replace("owner@", "guest@");
    refused(&guest, &["permission denied", "CREATE"]).await;
    // An administrator made the schema for the user.
    server.sql(name, "CREATE SCHEMA capcut_mcp AUTHORIZATION guest");
    journal(&guest)
        .create(&draft(ENGINE, 1), &call(0))
        .await
        .unwrap();
    // The primary server became another one.
    let open = journal(&url);
    open.create(&draft(ENGINE, 2), &call(0)).await.unwrap();
    server.sql(
        name,
        &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
    );
    server.sql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    );
    let added = open
        .append(ENGINE, &id(2), &call(1), CallPosition::End)
        .await;
    let error = added.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(
        error.to_string().contains("only answers queries"),
        "{error}"
    );
    refused(&url, &["only answers queries", "primary"]).await;
}
