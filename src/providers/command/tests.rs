//! Programs as providers, with the shell as the program.

use std::time::{Duration, Instant};

use super::*;
use crate::providers::section::ProviderSection;
use crate::providers::service::Accepted;

const LIMIT: Duration = Duration::from_secs(10);

fn settings(makes: &str, command: &[&str], rest: &str) -> ServiceSettings {
    let command: Vec<String> = command.iter().map(|part| format!("{part:?}")).collect();
    let section: ProviderSection = toml::from_str(&format!(
        "kind = \"command\"\nmakes = \"{makes}\"\ncommand = [{}]\n{rest}",
        command.join(", ")
    ))
    .unwrap();
    ServiceSettings {
        name: "p".to_owned(),
        section,
        key: None,
        app_id: None,
    }
}

fn speech_of(text: &str) -> Wanted {
    Wanted::Speech {
        text: text.to_owned(),
        voice: "en".to_owned(),
        speed: 1.0,
    }
}

async fn run_in(
    folder: &Path,
    settings: &ServiceSettings,
    wanted: &Wanted,
    limit: Duration,
) -> Result<RawAsset, CreationRefusal> {
    run(
        settings,
        wanted,
        folder,
        limit,
        1 << 20,
        &CancellationToken::new(),
    )
    .await
}

async fn speak(script: &str, rest: &str, text: &str) -> Result<Vec<u8>, CreationRefusal> {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("speech", &["sh", "-c", script, "sh", "{out}"], rest);
    let asset = run_in(folder.path(), &settings, &speech_of(text), LIMIT).await?;
    match asset.content {
        AssetContent::File(file) => {
            assert!(file.starts_with(folder.path()), "{}", file.display());
            Ok(std::fs::read(file).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_is_the_result_and_the_text_comes_by_standard_input() {
    let bytes = speak("cat > \"$1\"", "", "你好 'quoted' $HOME")
        .await
        .unwrap();
    assert_eq!(bytes, "你好 'quoted' $HOME".as_bytes());
    let ended = speak("cat > \"$1.mp3\"", "", "a name with an added ending").await;
    assert_eq!(ended.unwrap(), b"a name with an added ending");
}

#[tokio::test]
async fn what_it_prints_is_the_result_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(
        "speech",
        &["sh", "-c", "cat \"$1\"; pwd", "sh", "{text_file}"],
        "",
    );
    let asset = run_in(folder.path(), &settings, &speech_of("words\n"), LIMIT)
        .await
        .unwrap();
    let AssetContent::Bytes(bytes) = asset.content else {
        panic!("not bytes");
    };
    let text = String::from_utf8(bytes).unwrap();
    let (words, place) = text.split_once('\n').unwrap();
    assert_eq!(words, "words");
    assert_eq!(
        Path::new(place.trim()).canonicalize().unwrap(),
        folder.path().canonicalize().unwrap()
    );
}

#[tokio::test]
async fn transcripts_and_texts_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(
        "transcript",
        &[
            "sh",
            "-c",
            "echo '{\"text\":\"'$1'\"}' > \"$2.json\"",
            "sh",
            "{language}",
            "{out}",
        ],
        "",
    );
    let wanted = Wanted::Transcript {
        sha256: String::new(),
        file: "/x.wav".into(),
        seconds: 1.0,
        language: "en".to_owned(),
    };
    let asset = run_in(folder.path(), &settings, &wanted, LIMIT)
        .await
        .unwrap();
    assert!(matches!(asset.content, AssetContent::Text(text) if text == "{\"text\":\"en\"}\n"));
}

#[tokio::test]
async fn only_named_variables_are_passed_on() {
    // Cargo sets these for tests.
    let rest = "env = [\"CARGO_PKG_NAME\"]";
    let bytes = speak("env > \"$1\"", rest, "x").await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(
        names.contains(&"CARGO_PKG_NAME") && names.contains(&"PATH"),
        "{names:?}"
    );
    assert!(
        !names.contains(&"CARGO_PKG_VERSION") && !names.contains(&"CARGO_MANIFEST_DIR"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_failure_shows_the_last_messages_without_keys_and_words() {
    let script = "echo first >&2; echo \"bad key $CARGO_PKG_VERSION_PRE$CARGO_PKG_DESCRIPTION\" >&2; cat >&2; exit 3";
    let rest = "env = [\"CARGO_PKG_DESCRIPTION\", \"NO_SUCH_VARIABLE\"]";
    let refusal = speak(script, rest, "the words that are spoken")
        .await
        .unwrap_err();
    let text = refusal.error.to_string();
    assert!(
        text.contains("`sh` ended with exit code 3: first; bad key …; …"),
        "{text}"
    );
    assert!(
        text.contains("NO_SUCH_VARIABLE") && !text.contains("the words"),
        "{text}"
    );
}

#[tokio::test]
async fn the_price_decides_whether_a_failure_may_have_cost_something() {
    for (rest, accepted) in [
        ("price = 0", Accepted::No),
        ("price = 0.5", Accepted::Maybe),
        ("", Accepted::Maybe),
        ("price = { per_second = 0.1 }", Accepted::Maybe),
    ] {
        assert_eq!(
            speak("exit 1", rest, "x").await.unwrap_err().accepted,
            accepted,
            "{rest}"
        );
        assert_eq!(
            speak("kill -9 $$", rest, "x").await.unwrap_err().accepted,
            accepted,
            "{rest}"
        );
    }
}

#[tokio::test]
async fn a_program_that_does_not_exist_made_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("speech", &["no-such-program-at-all"], "");
    let refusal = run_in(folder.path(), &settings, &speech_of("x"), LIMIT)
        .await
        .unwrap_err();
    assert_eq!((refusal.accepted, refusal.again), (Accepted::No, None));
    let text = refusal.error.to_string();
    assert!(
        text.contains("`no-such-program-at-all` could not be started") && text.contains("PATH"),
        "{text}"
    );
}

#[tokio::test]
async fn a_success_without_a_result_is_a_failure() {
    for script in [
        "true",
        ": > \"$1\"",
        "mkdir \"$1\"",
        "ln -s /etc/passwd \"$1\"",
        "echo a > \"$1.a\"; echo b > \"$1.b\"",
    ] {
        let refusal = speak(script, "price = 0", "x").await.unwrap_err();
        assert_eq!(
            refusal.error.kind,
            Kind::Media,
            "{script}: {}",
            refusal.error
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("speech", &["true"], "");
    assert!(
        run_in(folder.path(), &settings, &speech_of("x"), LIMIT)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn too_much_output_is_a_failure() {
    let refusal = speak("head -c 2000000 /dev/zero > \"$1\"", "", "x")
        .await
        .unwrap_err();
    assert!(
        refusal.error.message.contains("1048576 bytes"),
        "{}",
        refusal.error
    );
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(
        "speech",
        &["sh", "-c", "while :; do echo 0123456789; done"],
        "",
    );
    let refusal = run_in(folder.path(), &settings, &speech_of("x"), LIMIT)
        .await
        .unwrap_err();
    assert!(
        refusal.error.message.contains("1048576 bytes"),
        "{}",
        refusal.error
    );
}

/// A program that starts another one, which writes its id into the folder.
const WITH_CHILD: &str = "sh -c 'echo $$ > \"$0/child\"; exec sleep 60' \"$1\" & sleep 60";

fn child_of(folder: &Path) -> Option<rustix::process::Pid> {
    let text = std::fs::read_to_string(folder.join("child")).ok()?;
    rustix::process::Pid::from_raw(text.trim().parse().ok()?)
}

/// Waits until a process has ended; one that is not waited for by its parent counts as ended.
async fn ends(process: rustix::process::Pid) {
    let started = Instant::now();
    let is_running = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
        match status {
            Ok(status) => !status.contains(") Z "),
            Err(_) => {
                !Path::new("/proc/self").exists()
                    && rustix::process::test_kill_process(process).is_ok()
            }
        }
    };
    while is_running() {
        assert!(started.elapsed() < LIMIT, "{process:?} is still running");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn all_its_processes_end_at_the_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(
        "speech",
        &["sh", "-c", WITH_CHILD, "sh", "{folder}", "{out}"],
        "price = 0",
    );
    let refusal = run_in(
        folder.path(),
        &settings,
        &speech_of("x"),
        Duration::from_millis(400),
    )
    .await
    .unwrap_err();
    assert_eq!(refusal.error.kind, Kind::Timeout);
    assert_eq!(refusal.accepted, Accepted::No);
    ends(child_of(folder.path()).expect("the child has started")).await;
}

#[tokio::test]
async fn all_its_processes_end_on_cancel_and_when_no_one_waits() {
    for is_cancelled in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings("speech", &["sh", "-c", WITH_CHILD, "sh", "{folder}"], "");
        let cancel = CancellationToken::new();
        let wanted = speech_of("x");
        let running = run(&settings, &wanted, folder.path(), LIMIT, 100, &cancel);
        let started = async {
            while child_of(folder.path()).is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if is_cancelled {
                cancel.cancel();
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = running => assert_eq!(ended.unwrap_err().error.kind, Kind::Cancelled),
            () = started => assert!(!is_cancelled),
        }
        ends(child_of(folder.path()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_process_that_is_left_running_does_not_hold_up_the_result() {
    let bytes = speak("echo done > \"$1\"; sleep 60 >&2 &", "", "x")
        .await
        .unwrap();
    assert_eq!(bytes, b"done\n");
}
