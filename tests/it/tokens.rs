//! The command `token`, as a person or a script uses it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::access::add;
use crate::support::{Home, McpOverHttp, PATIENCE};

fn list(home: &Home) -> Vec<Value> {
    let listed = home.run(&["token", "list", "--json"]).success().json();
    listed.as_array().expect("a list").clone()
}

#[test]
fn a_token_is_printed_once_and_only_its_hash_is_kept() {
    let home = Home::new();
    let empty = home.run(&["token", "list"]).success();
    assert!(
        empty.stdout.contains("`capcut-mcp token add NAME`"),
        "{empty:#?}"
    );

    let made = home.run(&["token", "add", "alice"]).success();
    let token = made.stdout.trim();
    assert!(
        token.starts_with("ccmcp_") && token.len() == 49,
        "{made:#?}"
    );
    assert_eq!(
        made.stdout.lines().count(),
        1,
        "a script reads the token from stdout"
    );
    assert!(
        made.stderr.contains("alice") && made.stderr.contains("`Authorization`"),
        "{made:#?}"
    );
    assert!(!made.stderr.contains(token));

    let file = home.data().join("tokens.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        !text.contains(token) && !text.contains(&token[6..]),
        "{text}"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let listed = list(&home);
    assert_eq!(listed[0]["name"], "alice");
    assert_eq!(listed[0]["ends_with"], token[45..]);
    assert_eq!(listed[0]["expires"], Value::Null);
    let shown = home.run(&["token", "list"]).success();
    assert!(
        shown.stdout.contains(&token[45..]) && !shown.stdout.contains(token),
        "{shown:#?}"
    );
}

#[test]
fn rights_and_lifetimes_are_kept_by_a_rotation() {
    let home = Home::new();
    let line = [
        "token",
        "add",
        "ci",
        "--read-only",
        "--admin",
        "--expires",
        "30d",
        "--json",
    ];
    let first = home.run(&line).success().json();
    assert_eq!(first["read_only"], true);
    assert_eq!(first["admin"], true);
    assert_eq!(first["expired"], false);
    assert!(first["expires"].is_string(), "{first}");
    let second = home
        .run(&["token", "rotate", "ci", "--json"])
        .success()
        .json();
    assert_ne!(first["token"], second["token"]);
    assert_ne!(first["id"], second["id"]);
    for key in ["name", "read_only", "admin"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    let listed = list(&home);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], second["id"]);
    // The id of an old token is not known any more.
    let id = first["id"].as_str().unwrap();
    assert_eq!(home.run(&["token", "rotate", id]).code, 2);
}

#[test]
fn several_tokens_of_a_name_are_revoked_one_by_one_or_together() {
    let home = Home::new();
    let add = || {
        home.run(&["token", "add", "team", "--json"])
            .success()
            .json()
    };
    let (one, two, _three) = (add(), add(), add());
    let ambiguous = home.run(&["token", "rotate", "team"]);
    assert_eq!(ambiguous.code, 2);
    for token in [&one, &two] {
        assert!(
            ambiguous.stderr.contains(token["id"].as_str().unwrap()),
            "{ambiguous:#?}"
        );
    }
    home.run(&["token", "revoke", one["id"].as_str().unwrap()])
        .success();
    assert_eq!(list(&home).len(), 2);
    let last = home.run(&["token", "revoke", "team"]).success();
    assert!(last.stdout.contains("2 tokens of team"), "{last:#?}");
    assert!(
        last.stdout.contains("there are no tokens left"),
        "{last:#?}"
    );
    assert_eq!(list(&home).len(), 0);
    let unknown = home.run(&["token", "revoke", "team"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("\"team\""), "{unknown:#?}");
}

#[test]
fn wrong_names_and_times_say_what_is_right() {
    let home = Home::new();
    for (line, hint) in [
        (vec!["Alice"], "use \"alice\""),
        (vec!["../alice"], "a-z, 0-9"),
        (vec!["张三"], "a-z, 0-9"),
        (vec!["con"], "Windows"),
        (vec![""], "1 to 64"),
        (vec!["alice", "--expires", "soon"], "30d"),
        (vec!["alice", "--expires", "0d"], "30d"),
        (vec!["alice", "--expires", "99999d"], "3650d"),
    ] {
        let arguments: Vec<&str> = ["token", "add"].into_iter().chain(line.clone()).collect();
        let ran = home.run(&arguments);
        assert_eq!(ran.code, 2, "{line:?}");
        assert!(ran.stderr.contains(hint), "{line:?}: {}", ran.stderr);
    }
    assert!(!home.data().join("tokens.json").exists());
}

#[test]
fn a_damaged_file_is_reported_and_stays_as_it_is() {
    let home = Home::new();
    let token = home.run(&["token", "add", "alice"]).success().stdout;
    let file = home.data().join("tokens.json");
    let whole = fs::read(&file).unwrap();
    for damaged in [
        &whole[..whole.len() / 2],
        b"",
        b"[]",
        br#"{"version":9,"tokens":[]}"#,
    ] {
        fs::write(&file, damaged).unwrap();
        for line in [
            vec!["token", "list"],
            vec!["token", "add", "bob"],
            vec!["token", "revoke", "alice"],
            vec!["token", "rotate", "alice"],
        ] {
            let ran = home.run(&line);
            assert_ne!(ran.code, 0, "{line:?}");
            assert!(ran.stderr.contains("is damaged"), "{}", ran.stderr);
            assert!(!ran.stderr.contains(token.trim()));
        }
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
}

#[test]
fn tokens_that_are_made_at_the_same_time_are_all_kept() {
    let home = Home::new();
    let mut children: Vec<_> = (0..8)
        .map(|number| {
            let name = format!("user{number}");
            home.command(&["token", "add", &name])
                .spawn()
                .expect("it starts")
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().expect("it ends").success());
    }
    let mut names: Vec<_> = list(&home).iter().map(|row| row["name"].clone()).collect();
    names.sort_by_key(Value::to_string);
    let expected: Vec<Value> = (0..8)
        .map(|number| json!(format!("user{number}")))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn the_words_around_a_new_token_are_shown_whole() {
    let home = Home::new();
    let made = home.run(&["token", "add", "alice"]).success();
    // What looks like a secret is removed from messages, with the rest of its line.
    for words in ["as `Bearer TOKEN`; clients of the", "/t/TOKEN/create_draft"] {
        assert!(made.stderr.contains(words), "{}", made.stderr);
    }
}

#[test]
fn an_open_stream_ends_when_its_token_is_revoked() {
    let home = Home::embedded();
    let (kept, revoked) = (add(&home, &["kept"]), add(&home, &["alice"]));
    let served = home.serve_http(&[]);
    let open = |token: &str| {
        let mut client = McpOverHttp::new(&served.url);
        let header = ("Authorization".to_owned(), format!("Bearer {token}"));
        client.headers.push(header);
        let client = client.connect("2025-11-25");
        let address = served.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        write!(
            stream,
            "GET /mcp HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\
             Mcp-Session-Id: {}\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n",
            address,
            client.session().expect("a session"),
        )
        .expect("sent");
        let mut start = [0; 15];
        stream.read_exact(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        stream
    };
    let (mut stays, mut ends) = (open(&kept), open(&revoked));
    home.run(&["token", "revoke", "alice"]).success();
    let mut rest = Vec::new();
    let mut piece = [0; 4096];
    while !rest.ends_with(b"0\r\n\r\n") {
        let read = ends.read(&mut piece).expect("the stream ends");
        assert!(read > 0, "the end of the stream is sent");
        rest.extend(&piece[..read]);
    }
    // The other stream is open: there is nothing to read, and no end.
    stays.set_nonblocking(true).expect("an option");
    while let Ok(read) = stays.read(&mut piece) {
        assert!(read > 0, "it ended too");
    }
}
