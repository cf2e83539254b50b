//! What a token may do: read-only tokens, tenants, rate limits and the audit log.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::access::{GIVEN, add, bearer, create, create_at, id_of, status};
use crate::support::{Home, McpOverHttp, http, http_with_head};

/// Every tool with its hints, as MCP lists it.
fn tools(home: &Home) -> Vec<(String, bool)> {
    let listed = home.run(&["tools", "--json"]).success().json();
    let tools = listed["tools"]
        .as_array()
        .or(listed.as_array())
        .expect("tools");
    tools
        .iter()
        .map(|tool| {
            let hint = tool["annotations"]["readOnlyHint"].as_bool();
            let hint = hint.or(tool["read_only"].as_bool());
            (
                tool["name"].as_str().expect("a name").to_owned(),
                hint.expect("a hint"),
            )
        })
        .collect()
}

#[test]
fn a_read_only_token_cannot_call_any_tool_that_changes_something() {
    let home = Home::embedded();
    let (full, reader) = (
        add(&home, &["alice"]),
        add(&home, &["alice", "--read-only"]),
    );
    let served = home.serve_http(&["--tools", "full"]);
    let (_, made) = create(&served, &[("Authorization", &bearer(&full))]);
    let draft = id_of(&made);
    let arguments = json!({ "draft_id": draft, "text": "x", "start": 0, "end": 1 });

    let mut writer = McpOverHttp::new(&served.url);
    writer
        .headers
        .push(("Authorization".to_owned(), bearer(&full)));
    let mut client = McpOverHttp::new(&served.url);
    client
        .headers
        .push(("Authorization".to_owned(), bearer(&reader)));
    let (mut writer, mut client) = (writer.connect("2025-06-18"), client.connect("2025-06-18"));
    let names = |client: &mut McpOverHttp| -> Vec<String> {
        let listed = client.ask("tools/list", &json!({}));
        let tools = listed["result"]["tools"].as_array().expect("tools").clone();
        tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let (all, shown) = (names(&mut writer), names(&mut client));
    let mut refused = 0;
    for (tool, reads) in tools(&home) {
        if !all.contains(&tool) {
            continue;
        }
        assert_eq!(shown.contains(&tool), reads, "{tool}");
        if reads {
            continue;
        }
        refused += 1;
        let error = client.error(&tool, &arguments);
        assert!(error.contains("this token only reads"), "{tool}: {error}");
        // The same tool as a route of the API, by header and by path.
        for (path, headers) in [
            (format!("/{tool}"), vec![("Authorization", bearer(&reader))]),
            (format!("/t/{reader}/{tool}"), vec![]),
        ] {
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let (status, answer) = create_at(&served, &path, &headers);
            assert!(status == 403 || status == 404, "{tool}: {status} {answer}");
        }
    }
    assert!(refused >= 20, "only {refused} tools change something");
    assert_eq!(status(&served, &reader), 403);
    let token = bearer(&reader);
    let files = |method: &str, path: &str| {
        let url = format!("{}{path}", served.url);
        http(method, &url, &[("Authorization", token.as_str())], b"").0
    };
    assert_eq!(files("PUT", "/files/a.srt"), 403);
    assert_eq!(files("DELETE", "/files/a.srt"), 403);
    assert_eq!(files("GET", "/files"), 200);
    // Nothing was changed, and reading works.
    let list = client.call("list_drafts", &json!({}));
    assert_eq!(list["drafts"].as_array().map(Vec::len), Some(1), "{list}");
    client.call("query_script", &json!({ "draft_id": draft }));
}

#[test]
fn tenants_do_not_see_each_other_and_an_admin_sees_all() {
    let home = Home::embedded();
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let admin = add(&home, &["boss", "--admin"]);
    let local = home
        .call("create_draft", &json!({}))
        .expect("a draft of stdio");
    let local = local["draft_id"].as_str().expect("an id").to_owned();
    // This test asks more than people do.
    let unlimited = ["audio", "visual", "draft", "query", "other"]
        .map(|class| format!("{class} = {{ per_minute = 0, burst = 1 }}\n"));
    let config = home.file("rates.toml", format!("[rates]\n{}", unlimited.concat()));
    let config = config.display().to_string();
    let served = home.serve_http(&["--tools", "full", "--config", &config]);
    let (_, made) = create(&served, &[("Authorization", &bearer(&alice))]);
    let own = id_of(&made);
    let unknown = "dfd_cat_1700000000_0badcafe";

    let ask = |token: &str, headers: &[(&str, &str)], tool: &str, draft: &str| {
        let token = bearer(token);
        let mut all = vec![
            ("Content-Type", "application/json"),
            ("Authorization", token.as_str()),
        ];
        all.extend(headers);
        let body = json!({ "draft_id": draft, "text": "x", "start": 0, "end": 1, "task_id": draft,
            "draft_folder": "/tmp", "video_url": "x", "audio_url": "x", "image_url": "x", "srt": "x",
            "sticker_id": "x", "effect_type": "x" });
        let (status, text) = http(
            "POST",
            &format!("{}/{tool}", served.url),
            &all,
            body.to_string().as_bytes(),
        );
        (status, text.replace(draft, "DRAFT"))
    };
    for tool in [
        "add_text",
        "query_script",
        "save_draft",
        "query_draft_status",
        "generate_draft_url",
        "add_sticker",
        "add_subtitle",
    ] {
        for foreign in [&own, &local] {
            assert_eq!(
                ask(&bob, &[], tool, foreign),
                ask(&bob, &[], tool, unknown),
                "{tool}"
            );
        }
    }
    let mut client = McpOverHttp::new(&served.url);
    client
        .headers
        .push(("Authorization".to_owned(), bearer(&bob)));
    let mut client = client.connect("2025-06-18");
    let listed = client.ask("tools/list", &json!({}));
    let mut walked = 0;
    for tool in listed["result"]["tools"].as_array().expect("tools") {
        let name = tool["name"].as_str().expect("a name");
        let properties = &tool["inputSchema"]["properties"];
        let argument = ["draft_id", "draft", "template"]
            .into_iter()
            .find(|argument| properties.get(argument).is_some());
        let Some(argument) = argument else {
            continue;
        };
        walked += 1;
        let mut arguments = json!({});
        for required in tool["inputSchema"]["required"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let required = required.as_str().expect("a name");
            arguments[required] = match (required, properties[required]["type"].as_str()) {
                ("operations", _) => json!([{ "op": "remove", "clip": "c1" }]),
                (_, Some("number" | "integer")) => json!(1),
                (_, Some("array")) => json!(["x"]),
                (_, Some("object")) => json!({}),
                _ => json!("x"),
            };
        }
        let answer = |client: &mut McpOverHttp, draft: &str| {
            let mut arguments = arguments.clone();
            arguments[argument] = draft.into();
            let mut result = client.result(name, &arguments);
            let id = result["_meta"]["capcut-mcp/requestId"].take();
            // These do not look for the draft: one makes a text from the id, one lists styles.
            let looks = !["generate_draft_url", "style_presets"].contains(&name);
            assert_eq!(result["isError"], looks, "{name}: {result}");
            if looks {
                assert_eq!(id.as_str().map(str::len), Some(16), "{name}");
            }
            result.to_string().replace(draft, "DRAFT")
        };
        for foreign in [&own, &local] {
            let (theirs, nothing) = (answer(&mut client, foreign), answer(&mut client, unknown));
            assert_eq!(theirs, nothing, "{name}");
        }
    }
    assert!(walked >= 20, "only {walked} tools take a draft");
    for foreign in [&own, &local] {
        let mut read = |draft: &str| {
            let uri = format!("draft://{draft}");
            let answer = client.ask("resources/read", &json!({ "uri": uri }));
            assert!(answer.get("error").is_some(), "{answer}");
            answer["error"].to_string().replace(draft, "DRAFT")
        };
        assert_eq!(read(foreign), read(unknown));
    }
    let list = client.call("list_drafts", &json!({}));
    assert_eq!(list["drafts"], json!([]));

    // No one but an admin names another tenant, whether it exists or not.
    for name in ["alice", "local", "no one", "../alice", ""] {
        let (status, _) = ask(&bob, &[("X-Tenant", name)], "query_script", &own);
        assert_eq!(status, 403, "{name:?}");
    }
    let found = |token: &str, headers: &[(&str, &str)], draft: &str| {
        let (_, text) = ask(token, headers, "query_script", draft);
        text.contains("\"success\":true")
    };
    assert!(found(&alice, &[], &own) && found(&alice, &[("X-Tenant", "alice")], &own));
    assert!(!found(&admin, &[], &own));
    assert!(found(&admin, &[("X-Tenant", "alice")], &own));
    assert!(found(&admin, &[("X-Tenant", "local")], &local));

    let tenants = |token: &str| {
        let token = bearer(token);
        let url = format!("{}/tenants", served.url);
        let (status, text) = http("GET", &url, &[("Authorization", token.as_str())], b"");
        (status, text)
    };
    let (status, text) = tenants(&admin);
    assert_eq!(status, 200, "{text}");
    let listed: Value = serde_json::from_str(&text).expect("JSON");
    let of = |name: &str| {
        let rows = listed["tenants"].as_array().expect("tenants");
        let row = rows.iter().find(|row| row["tenant"] == name);
        row.unwrap_or_else(|| panic!("{name} is not in {text}"))["drafts"].to_string()
    };
    assert!(of("alice").contains(&own) && !of("alice").contains(&local));
    assert!(of("local").contains(&local) && !of("bob").contains(&own));
    // The list does not tell others whether a tenant exists.
    for token in [&alice, &bob] {
        let (status, text) = tenants(token);
        assert_eq!(status, 403, "{text}");
        assert!(text.contains("--admin") && !text.contains(&own), "{text}");
    }
}

#[test]
fn calls_beyond_the_rate_are_answered_429_for_that_token_only() {
    let home = Home::embedded();
    let config = home.file(
        "tools.toml",
        "[rates]\ndraft = { per_minute = 0.1, burst = 3 }\nquery = { per_minute = 0.1, burst = 2 }\n",
    );
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let served = home.serve_http(&["--config", &config.display().to_string()]);
    let statuses: Vec<u16> = (0..5).map(|_| status(&served, &alice)).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let url = format!("{}/create_draft", served.url);
    let token = bearer(&alice);
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", token.as_str()),
    ];
    let (_, head, body) = http_with_head("POST", &url, &headers, b"{}");
    let wait = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("retry-after: ")
            .map(str::to_owned)
    });
    let wait: u64 = wait.expect("Retry-After").trim().parse().expect("seconds");
    assert!((1..=600).contains(&wait), "{wait}");
    assert!(body.contains("too many calls"), "{body}");
    // Over MCP too, before the call runs.
    let mut client = McpOverHttp::new(&served.url);
    client
        .headers
        .push(("Authorization".to_owned(), token.clone()));
    let mut client = client.connect("2025-06-18");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "create_draft", "arguments": {} } });
    assert_eq!(client.post(&call).0, 429);
    // Other tokens and other classes are not affected; wrong tokens do not count.
    for _ in 0..20 {
        assert_eq!(status(&served, "ccmcp_wrong"), 401);
    }
    assert_eq!(status(&served, &bob), 200);
}

#[test]
fn the_audit_log_says_who_did_what_and_no_file_has_a_token() {
    let mut home = Home::embedded();
    let given = format!("{GIVEN}X");
    home.set("CAPCUT_MCP_TOKENS", &format!("ci {given}"));
    let (alice, reader) = (add(&home, &["alice"]), add(&home, &["bob", "--read-only"]));
    let wrong = format!("{}wrong", &alice[..20]);
    let (audit, log) = (
        home.path().join("audit.log"),
        home.path().join("server.log"),
    );
    let served = home.serve_http(&[
        "--audit-log",
        &audit.display().to_string(),
        "--log",
        "trace",
        "--log-file",
        &log.display().to_string(),
    ]);
    let (_, made) = create(&served, &[("Authorization", &bearer(&alice))]);
    let draft = id_of(&made);
    assert_eq!(status(&served, &reader), 403);
    assert_eq!(status(&served, &wrong), 401);
    for token in [&alice, &reader, &wrong, &given] {
        for path in [
            "/t/TOKEN/query_script",
            "/t/TOKEN",
            "/t/TOKEN/none",
            "/T/TOKEN/x",
            "/t%2FTOKEN%2Fx",
            "//t/TOKEN/x",
            "/x/t/TOKEN",
        ] {
            create_at(&served, &path.replace("TOKEN", token), &[]);
            create_at(
                &served,
                &path.replace("TOKEN", token),
                &[("Authorization", &bearer(&alice))],
            );
        }
    }
    let mut client = McpOverHttp::new(&served.url);
    client
        .headers
        .push(("Authorization".to_owned(), bearer(&alice)));
    let mut client = client.connect("2025-06-18");
    client.call(
        "add_text",
        &json!({ "draft_id": draft, "text": "a secret text", "start": 0, "end": 1 }),
    );
    client.error("add_text", &json!({ "draft_id": draft }));
    client.call("save_draft", &json!({ "draft_id": draft }));
    let metrics = http(
        "GET",
        &format!("{}/metrics", served.url),
        &[("Authorization", &bearer(&alice))],
        b"",
    );
    assert_eq!(metrics.0, 200);
    for token in [&alice, &reader, &wrong, &given] {
        assert!(!metrics.1.contains(token.as_str()));
        assert!(
            !served.stderr().contains(token.as_str()),
            "{}",
            served.stderr()
        );
    }

    let text = fs::read_to_string(&audit).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let has = |tenant: &Value, action: &str, result: &str, draft: Option<&str>| {
        lines.iter().any(|line| {
            line["tenant"] == *tenant
                && line["action"] == action
                && line["result"] == result
                && line["client"] == "127.0.0.1"
                && line["request"].as_str().is_some_and(|id| id.len() == 16)
                && draft.is_none_or(|draft| line["draft"] == draft)
        })
    };
    assert!(
        has(&json!("alice"), "create_draft", "ok", Some(&draft)),
        "{text}"
    );
    assert!(
        has(&json!("bob"), "create_draft", "read_only", None),
        "{text}"
    );
    assert!(
        has(&Value::Null, "create_draft", "wrong_token", None),
        "{text}"
    );
    assert!(
        has(&json!("alice"), "add_text", "ok", Some(&draft)),
        "{text}"
    );
    assert!(
        has(
            &json!("alice"),
            "add_text",
            "invalid_argument",
            Some(&draft)
        ),
        "{text}"
    );
    assert!(
        has(&json!("alice"), "save_draft", "ok", Some(&draft)),
        "{text}"
    );
    assert!(!text.contains("a secret text"), "{text}");

    drop(served);
    let known = [alice, reader, wrong, given];
    let checked = nothing_below_holds(home.path(), &known);
    assert!(checked > 10, "only {checked} files");
}

/// Looks for the texts in all files of a folder; returns their number.
fn nothing_below_holds(folder: &Path, texts: &[String]) -> usize {
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            checked += nothing_below_holds(&path, texts);
            continue;
        }
        let Ok(bytes) = fs::read(&path) else { continue };
        checked += 1;
        for text in texts {
            let held = bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes());
            assert!(!held, "{} has {text}", path.display());
        }
    }
    checked
}

#[test]
fn uploaded_files_belong_to_the_token() {
    let home = Home::embedded();
    let (alice, bob) = (add(&home, &["alice"]), add(&home, &["bob"]));
    let served = home.serve_http(&[]);
    let ask = |method: &str, path: &str, token: &str, body: &[u8]| {
        let token = bearer(token);
        let headers = [
            ("Authorization", token.as_str()),
            ("Content-Type", "application/json"),
        ];
        http(method, &format!("{}{path}", served.url), &headers, body)
    };
    let clip = fs::read(crate::support::media("picture.jpg")).expect("an example");
    assert_eq!(ask("PUT", "/files/a.jpg", &alice, &clip).0, 201);
    let listed = |token: &str| {
        let (_, text) = ask("GET", "/files", token, b"");
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["files"].as_array().expect("files").len()
    };
    assert_eq!((listed(&alice), listed(&bob)), (1, 0));
    assert_eq!(ask("DELETE", "/files/a.jpg", &bob, b"").0, 404);
    let stored = home.data().join("tenants/alice/files/a.jpg");
    assert!(stored.is_file(), "{}", stored.display());
    let add_image = |token: &str, image: &str| {
        let (_, made) = create(&served, &[("Authorization", &bearer(token))]);
        let body = json!({ "draft_id": id_of(&made), "image_url": image, "end": 1 });
        let (_, text) = ask("POST", "/add_image", token, body.to_string().as_bytes());
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["success"] == true
    };
    let path = stored.display().to_string();
    assert!(add_image(&alice, "files/a.jpg"));
    assert!(!add_image(&bob, "files/a.jpg"));
    assert!(!add_image(&bob, &path), "bob reads a file of alice");
}

#[test]
fn a_tenant_has_limits_and_the_user_of_the_process_has_none() {
    let home = Home::embedded();
    let alice = add(&home, &["alice"]);
    let local = add(&home, &["local"]);
    let config = home.file(
        "limits.toml",
        "[limits]\ntenant_drafts = 2\ntenant_bytes = 3000000\n",
    );
    let served = home.serve_http(&["--config", &config.display().to_string()]);
    let ask = |token: &str, path: &str, body: &Value| {
        let token = bearer(token);
        let headers = [
            ("Authorization", token.as_str()),
            ("Content-Type", "application/json"),
        ];
        let url = format!("{}{path}", served.url);
        let (_, text) = http("POST", &url, &headers, body.to_string().as_bytes());
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let first = ask(&alice, "/create_draft", &json!({}));
    ask(&alice, "/create_draft", &json!({}));
    let third = ask(&alice, "/create_draft", &json!({}));
    let error = third["error"].as_str().expect("an error");
    assert!(error.contains("tenant_drafts"), "{error}");
    for _ in 0..3 {
        assert_eq!(ask(&local, "/create_draft", &json!({}))["success"], true);
    }
    let token = bearer(&alice);
    let put = |name: &str, size: usize| {
        let headers = [("Authorization", token.as_str())];
        let url = format!("{}/files/{name}", served.url);
        http("PUT", &url, &headers, &vec![b'x'; size])
    };
    assert_eq!(put("a.srt", 2_000_000).0, 201);
    let (status, text) = put("b.srt", 2_000_000);
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("tenant_bytes"), "{text}");
    let draft = json!({ "draft_id": id_of(&first) });
    fs::write(
        home.data().join("tenants/alice/files/rest.srt"),
        vec![b'x'; 2_000_000],
    )
    .expect("written");
    let full = ask(&alice, "/save_draft", &draft);
    let error = full["error"].as_str().expect("an error");
    assert!(error.contains("tenant_bytes"), "{error}");
}

#[test]
fn a_tenant_runs_as_many_jobs_as_it_may() {
    let home = Home::embedded();
    let alice = add(&home, &["alice"]);
    let bob = add(&home, &["bob"]);
    let config = home.file("limits.toml", "[limits]\ntenant_jobs = 1\n");
    let served = home.serve_http(&[
        "--config",
        &config.display().to_string(),
        "--allow-host",
        "127.0.0.1",
    ]);
    let slow = crate::jobs::Slow::held();
    let plan = json!({ "wait_s": 0, "plan": { "audio": [{ "audio_url": format!("{}/slow.wav", slow.url) }] } });
    let client = |token: &str| {
        let mut client = crate::support::McpOverHttp::new(&served.url);
        let header = ("Authorization".to_owned(), bearer(token));
        client.headers.push(header);
        client.connect("2025-11-25")
    };
    let (mut of_alice, mut of_bob) = (client(&alice), client(&bob));
    let job = of_alice.call("compose_draft", &plan)["job_id"].clone();
    assert!(job.is_string(), "{job}");
    let error = of_alice.error("compose_draft", &plan);
    assert!(
        error.starts_with("ERROR busy") && error.contains("tenant_jobs"),
        "{error}"
    );
    let other = of_bob.call("compose_draft", &plan)["job_id"].clone();
    assert!(other.is_string(), "the limit is each tenant's own");
    let unknown = of_bob.error("job_status", &json!({ "job_id": job }));
    assert!(unknown.starts_with("ERROR not_found"), "{unknown}");
    of_alice.call("cancel_job", &json!({ "job_id": job }));
    let again = of_alice.call("compose_draft", &plan);
    assert!(again["job_id"].is_string(), "{again}");
}
