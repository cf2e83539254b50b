//! Every finding, in simulated homes of each operating system.

use std::ffi::OsString;

use super::files::MadeUp;
use super::*;
use crate::error::Kind;
use crate::settings::Given;

/// A simulated home on one operating system.
struct Home {
    os: Os,
    env: &'static [(&'static str, &'static str)],
    files: MadeUp,
}

impl Home {
    fn new(os: Os, files: &[(&str, &str)]) -> Self {
        let env: &[_] = match os {
            Os::Linux => &[("HOME", "/home/me"), ("PATH", "/usr/bin:/opt/bin")],
            Os::MacOs => &[
                ("HOME", "/Users/me"),
                ("PATH", "/usr/bin:/opt/homebrew/bin"),
            ],
            Os::Windows => &[
                ("USERPROFILE", r"C:\Users\me"),
                ("LOCALAPPDATA", r"C:\Users\me\AppData\Local"),
                ("APPDATA", r"C:\Users\me\AppData\Roaming"),
                ("PATH", r"C:\Windows;C:\ffmpeg\bin"),
            ],
        };
        Self {
            os,
            env,
            files: MadeUp::new(files),
        }
    }

    fn look_with(&self, given: Given) -> Vec<Finding> {
        let env = |name: &str| {
            let found = self.env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let settings = Settings::new(self.os, &env, given).expect("settings");
        look(&settings, &env, &self.files)
    }

    #[track_caller]
    fn check(&self, what: &str, state: CheckState, expected: &[&str]) {
        self.check_with(Given::default(), what, state, expected);
    }

    #[track_caller]
    fn check_with(&self, given: Given, what: &str, state: CheckState, expected: &[&str]) {
        let findings = self.look_with(given);
        let finding = findings.iter().find(|finding| finding.what == what);
        let finding = finding.unwrap_or_else(|| panic!("no {what:?} in {findings:#?}"));
        assert_eq!(finding.state, state, "{finding:?}");
        let text = format!(
            "{} {}",
            finding.detail,
            finding.hint.as_deref().unwrap_or("")
        );
        for part in expected {
            assert!(text.contains(part), "{part:?} in {finding:?}");
        }
    }
}

#[test]
fn on_linux_drafts_are_kept_in_the_data_folder() {
    let home = Home::new(Os::Linux, &[]);
    home.check(
        "data folder",
        CheckState::Ok,
        &["/home/me/.local/share/capcut-mcp"],
    );
    for (what, app) in [
        ("CapCut's drafts", "CapCut"),
        ("JianYing's drafts", "JianYing"),
    ] {
        home.check(
            what,
            CheckState::Note,
            &[app, "does not run on Linux", "/home/me/.local/share"],
        );
    }
}

#[test]
fn on_a_mac_the_apps_drafts_are_found_and_counted() {
    const ROOT: &str = "/Users/me/Movies/CapCut/User Data/Projects/com.lveditor.draft";
    let registry = r#"{"all_draft_store": [{"draft_new_version": "99.0.0"},
        {"draft_new_version": "179.0.0"}, {"draft_new_version": ""}], "root_path": "ROOT"}"#;
    let home = Home::new(
        Os::MacOs,
        &[
            (&format!("{ROOT}/0101/draft_info.json"), "{}"),
            (&format!("{ROOT}/0102/draft_content.json"), "{}"),
            (&format!("{ROOT}/.recycle_bin/leftover.txt"), ""),
            (
                &format!("{ROOT}/root_meta_info.json"),
                &registry.replace("ROOT", ROOT),
            ),
        ],
    );
    home.check(
        "CapCut's drafts",
        CheckState::Ok,
        &[ROOT, "(2 drafts)", "version 179.0.0"],
    );
    home.check(
        "JianYing's drafts",
        CheckState::Note,
        &[
            "Movies/JianyingPro",
            "Containers/com.lemon.lvpro",
            "start JianYing once",
        ],
    );
}

#[test]
fn on_windows_a_moved_drafts_folder_is_found() {
    const ROOT: &str =
        r"C:\Users\me\AppData\Local\JianyingPro\User Data\Projects\com.lveditor.draft";
    let home = Home::new(
        Os::Windows,
        &[
            (
                &format!(r"{ROOT}\root_meta_info.json"),
                r#"{"root_path": "E:/JianyingPro Drafts"}"#,
            ),
            (r"E:/JianyingPro Drafts\one\draft_content.json", "{}"),
        ],
    );
    home.check(
        "JianYing's drafts",
        CheckState::Ok,
        &["E:/JianyingPro Drafts (1 draft)", "instead of", ROOT],
    );
    home.check(
        "CapCut's drafts",
        CheckState::Note,
        &[r"AppData\Local\CapCut\User Data"],
    );
}

#[test]
fn a_registry_that_names_its_own_folder_with_slashes_is_not_a_move() {
    const ROOT: &str = r"C:\Users\me\AppData\Local\CapCut\User Data\Projects\com.lveditor.draft";
    let registry = format!(r#"{{"root_path": "{}"}}"#, ROOT.replace('\\', "/"));
    let home = Home::new(
        Os::Windows,
        &[(&format!(r"{ROOT}\root_meta_info.json"), &registry)],
    );
    let findings = home.look_with(Given::default());
    let finding = findings
        .iter()
        .find(|one| one.what == "CapCut's drafts")
        .expect("it");
    assert_eq!(finding.detail, format!("{ROOT} (0 drafts)"));
    assert_eq!(finding.hint, None);
}

#[test]
fn a_configured_drafts_folder_must_exist() {
    let given = || Given {
        drafts_dir: Some("/mnt/drafts".into()),
        ..Given::default()
    };
    let home = Home::new(Os::Linux, &[]);
    home.check_with(
        given(),
        "CapCut's drafts",
        CheckState::Problem,
        &["/mnt/drafts does not exist"],
    );
    let home = Home::new(Os::Linux, &[("/mnt/drafts/a/draft_info.json", "{}")]);
    home.check_with(
        given(),
        "CapCut's drafts",
        CheckState::Ok,
        &["/mnt/drafts (1 draft)"],
    );
}

#[test]
fn a_data_folder_that_cannot_be_written_is_a_problem() {
    for (os, folder) in [
        (Os::Linux, "/home/me/.local/share/capcut-mcp"),
        (
            Os::MacOs,
            "/Users/me/Library/Application Support/capcut-mcp",
        ),
        (Os::Windows, r"C:\Users\me\AppData\Local\capcut-mcp\data"),
    ] {
        let mut home = Home::new(os, &[]);
        home.check("data folder", CheckState::Ok, &[folder]);
        home.files.read_only = true;
        home.check("data folder", CheckState::Problem, &[folder, "--data-dir"]);
        home.env = &[];
        home.check(
            "data folder",
            CheckState::Problem,
            &["no home", "--data-dir"],
        );
    }
}

#[test]
fn programs_are_found_on_the_search_path_and_are_optional() {
    for (os, file) in [
        (Os::Linux, "/opt/bin/ffprobe"),
        (Os::MacOs, "/opt/homebrew/bin/ffprobe"),
        (Os::Windows, r"C:\ffmpeg\bin\ffprobe.exe"),
    ] {
        Home::new(os, &[(file, "")]).check("ffprobe", CheckState::Ok, &[file]);
        Home::new(os, &[]).check("ffprobe", CheckState::Note, &["optional", "formats"]);
        Home::new(os, &[]).check("ffmpeg", CheckState::Note, &["optional", "covers"]);
    }
}

#[test]
fn a_settings_file_must_exist_only_if_its_path_was_given() {
    let home = Home::new(Os::Linux, &[("/home/me/.config/capcut-mcp/tools.toml", "")]);
    home.check(
        "settings file",
        CheckState::Ok,
        &["/home/me/.config/capcut-mcp/tools.toml"],
    );
    let home = Home::new(Os::Linux, &[]);
    home.check("settings file", CheckState::Ok, &["none"]);
    let given = Given {
        config_file: Some("/etc/mine.toml".into()),
        ..Given::default()
    };
    home.check_with(
        given,
        "settings file",
        CheckState::Problem,
        &["/etc/mine.toml does not exist"],
    );
}

#[test]
fn an_absent_api_is_a_problem_only_with_the_remote_backend() {
    let absent = Err(Error::new(
        Kind::Unsent,
        "no answer from http://127.0.0.1:9000",
    ));
    let present = Ok("a CapCut API at http://127.0.0.1:9000".to_owned());
    let state = |choice, server: &Result<String>| api(choice, true, server).state;
    assert_eq!(state(BackendChoice::Auto, &absent), CheckState::Ok);
    assert_eq!(state(BackendChoice::Embedded, &absent), CheckState::Ok);
    assert_eq!(state(BackendChoice::Remote, &absent), CheckState::Problem);
    assert_eq!(state(BackendChoice::Auto, &present), CheckState::Ok);
    assert_eq!(state(BackendChoice::Remote, &present), CheckState::Ok);
    assert_eq!(state(BackendChoice::Embedded, &present), CheckState::Note);
    let as_usual = api(BackendChoice::Auto, false, &absent).detail;
    assert!(
        as_usual.contains("the engine in this program") && !as_usual.contains("no answer"),
        "{as_usual}"
    );
    assert!(
        api(BackendChoice::Auto, true, &absent)
            .detail
            .contains("no answer")
    );
}

#[test]
fn a_configured_drafts_folder_is_attributed_to_its_app() {
    let given = |dir: &str| Given {
        drafts_dir: Some(dir.into()),
        ..Given::default()
    };
    let document = r#"{"last_modified_platform": {"app_source": "lv"}}"#;
    for dir in [
        "/mnt/JianyingPro/User Data/Projects/com.lveditor.draft",
        "/mnt/JianyingPro Drafts",
        "/mnt/elsewhere",
    ] {
        for name in ["draft_info.json", "draft_content.json"] {
            let home = Home::new(Os::Linux, &[(&format!("{dir}/a/{name}"), document)]);
            home.check_with(
                given(dir),
                "JianYing's drafts",
                CheckState::Ok,
                &["(1 draft)"],
            );
        }
    }
    let home = Home::new(Os::Linux, &[("/mnt/CapCut Drafts/a/draft_info.json", "{}")]);
    let mut jianying = given("/mnt/CapCut Drafts");
    jianying.edition = Some(Edition::Jianying);
    home.check_with(jianying, "CapCut's drafts", CheckState::Ok, &["(1 draft)"]);
}

#[test]
fn problems_are_listed_first_and_the_verdict_last() {
    let findings = [
        Finding::ok("system", "fine"),
        Finding::problem("data folder", "read-only").hint("name another"),
    ];
    let text = as_text(&findings, false);
    assert_eq!(
        text,
        "BAD   data folder  read-only\n                   name another\nok    system       fine\n\n\
         Drafts cannot be made until the problems marked BAD are fixed.\n"
    );
}
