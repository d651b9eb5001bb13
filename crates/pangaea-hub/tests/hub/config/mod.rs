//! Where settings come from, what goes before what, and what is said about mistakes. Beside this,
//! what the settings do that concern connections and administration.

pub mod admin;
mod limits;
mod tls;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use pangaea_hub::{ConfigSources, Hub, HubConfig, LISTEN_DEFAULT};
use tempfile::TempDir;

use crate::support::{Client, key};

const EXAMPLE: &str = include_str!("../../../../../docs/examples/hub.toml");

/// A configuration file in a folder of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(text: &str) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write(text);
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("hub.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn sources(&self) -> ConfigSources {
        ConfigSources::new().with_file(self.file())
    }

    /// Adds the settings without which no hub can start.
    fn write_with_folder(&self, text: &str) {
        let data = self.folder.path().join("data");
        self.write(&format!(
            "[storage]\ndata_dir = {data:?}\n[listen]\naddress = \"127.0.0.1:0\"\n{text}"
        ));
    }

    /// What is wrong, one thing a line, without the folder.
    fn problems(&self) -> String {
        let error = self.sources().load().unwrap_err().to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn variable(name: &str, text: &str) -> (OsString, OsString) {
    (name.into(), text.into())
}

#[test]
fn the_example_file_says_what_holds_without_it() {
    let loaded = Place::new(EXAMPLE).sources().load().unwrap();
    let plain = HubConfig::new("/var/lib/pangaea-hub", LISTEN_DEFAULT);
    assert_eq!(format!("{:?}", loaded.config), format!("{plain:?}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_example_file_names_every_setting_and_what_it_shows_is_good() {
    let mut sections = serde_json::Map::new();
    let mut uncommented = String::new();
    let mut section = "";
    for line in EXAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let shown = line.strip_prefix("# ").unwrap_or(line);
        match shown.split_once(" = ") {
            Some((name, _)) if !name.contains(' ') => {
                let members = sections
                    .entry(section)
                    .or_insert_with(|| serde_json::json!({}));
                members[name] = true.into();
                uncommented += &format!("{shown}\n");
            }
            _ => uncommented += &format!("{line}\n"),
        }
    }
    let place = Place::new(&uncommented);
    let all = place.sources().load().unwrap().to_json();
    for (section, members) in all.as_object().unwrap() {
        for (name, value) in members.as_object().unwrap() {
            // The token is the one setting that has no place in a file.
            let is_secret = section == "admin" && name == "token";
            assert_ne!(
                sections[section].get(name).is_some(),
                is_secret,
                "{section}.{name}"
            );
            assert_ne!(
                !value.is_null(),
                is_secret,
                "{section}.{name} is in the example"
            );
        }
    }
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let place = Place::new(
        "[storage]\ndata_dir = \"file\"\n[limits]\npage_entries = 1\nidle_seconds = 1\n\
         max_file_megabytes = 1\n",
    );
    let sources = place
        .sources()
        .with_environment([
            variable("PANGAEA_HUB_LIMITS_PAGE_ENTRIES", "2"),
            variable("PANGAEA_HUB_LIMITS_IDLE_SECONDS", " 2 "),
            variable("PANGAEA_HUB_STORAGE_DATA_DIR", ""),
            variable("PANGAEA_HUB_PROXY_TRUSTED", "127.0.0.1, 10.0.0.0/8"),
            variable("PANGAEA_HUB_PORT_3000_TCP", "tcp://10.1.2.3:3000"),
            variable("PANGAEA_KEY", "not ours"),
        ])
        .with_option("--page-entries", "limits.page_entries", "3");
    let loaded = sources.load().unwrap();
    assert_eq!(loaded.config.page_entries, 3);
    assert_eq!(loaded.config.time_limits.idle.as_secs(), 2);
    assert_eq!(loaded.config.max_file_megabytes, 1);
    assert_eq!(loaded.config.connections_max, 4096);
    assert_eq!(loaded.config.data_dir, PathBuf::from("file"));
    assert_eq!(
        loaded.warnings,
        ["the environment variable PANGAEA_HUB_PORT_3000_TCP is no setting"]
    );
    let text = loaded.describe();
    for line in [
        "page_entries = 3  # --page-entries\n",
        "idle_seconds = 2  # environment variable PANGAEA_HUB_LIMITS_IDLE_SECONDS\n",
        "max_file_megabytes = 1\n",
        "# public_url is not set\n",
        "trusted = [\"127.0.0.1\", \"10.0.0.0/8\"]  # environment variable",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    // What is printed is a file that says the same.
    let again = Place::new(&text).sources().load().unwrap();
    assert_eq!(
        format!("{:?}", again.config),
        format!("{:?}", loaded.config)
    );
}

#[test]
fn every_mistake_is_named_with_its_line_and_what_to_write() {
    let place = Place::new(
        "name = 1\n[listen]\nadress = \"127.0.0.1:3000\"\npage_entries = 3\n\
         public_url = \"hub.example\"\n[limits]\npage_entries = 5000\nidle_seconds = \"long\"\n\
         [tsl]\nkey = \"x\"\n[access]\nlegacy_tokens = false\nallow = [\"1Nobody\"]\n\
         [admin]\ntoken = \"secret\"\n[proxy]\ntrusted = \"10.0.0.0/8\"\n",
    );
    let problems = place.problems();
    let expected = [
        "hub.toml:1: there is no setting outside of a section `name`: the sections are [listen], \
         [storage], [access], [limits], [quota], [rates], [reads], [changes], [tls], [proxy], [admin], [log]",
        "hub.toml:3: there is no setting listen.adress: [listen] has address, public_url, read_url",
        "hub.toml:4: there is no setting listen.page_entries: `page_entries` belongs into [limits]",
        "hub.toml:5: listen.public_url takes a URL, such as \"https://hub.example.com\": it begins \
         with http:// or https:// and a host, and has no query",
        "hub.toml:7: limits.page_entries takes a whole number from 1 to 4096, not 5000",
        "hub.toml:8: limits.idle_seconds takes a whole number from 1 to 3600, not \"long\"",
        "hub.toml:9: there is no section `tsl`: the sections are [listen], [storage], [access], \
         [limits], [quota], [rates], [reads], [changes], [tls], [proxy], [admin], [log]",
        "hub.toml:12: access.legacy_tokens takes one of \"accept\", \"refuse\", not false",
        "hub.toml:13: access.allow takes a list of bucket addresses: \"1Nobody\": ",
        "hub.toml:15: admin.token does not belong into this file: write the token into a file of \
         its own and name that with admin.token_file, or set PANGAEA_HUB_ADMIN_TOKEN",
        "hub.toml:17: proxy.trusted takes a list of addresses and networks, such as \"127.0.0.1\" \
         or \"10.0.0.0/8\", not \"10.0.0.0/8\"",
    ];
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new("[listen]\naddress = \n");
    assert!(
        place
            .problems()
            .starts_with("hub.toml:2: this is not TOML: "),
        "{}",
        place.problems()
    );
    fs::remove_file(place.file()).unwrap();
    let problems = place.problems();
    assert!(
        problems.starts_with("hub.toml: cannot read the configuration file: No such"),
        "{problems}"
    );
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    let place = Place::new("[tls]\ncertificate = \"a\"\n[admin]\naddress = \"127.0.0.1:3000\"\n");
    let problems = place.problems();
    for part in [
        "storage.data_dir is not set",
        "tls.certificate is set, but not tls.key",
        "admin.address is set, but no token",
        "admin.address and listen.address are the same",
    ] {
        assert!(problems.contains(part), "{part} in {problems}");
    }
}

#[test]
fn a_variable_with_a_mistake_is_named_and_a_secret_is_not_shown() {
    let sources = ConfigSources::new().with_environment([
        variable("PANGAEA_HUB_LIMITS_PAGE_ENTRIES", "many"),
        variable("PANGAEA_HUB_ADMIN_TOKEN", "correct-horse-battery"),
    ]);
    let error = sources.load().unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable PANGAEA_HUB_LIMITS_PAGE_ENTRIES: limits.page_entries takes a whole \
         number from 1 to 4096, not \"many\""
    );
    let sources = ConfigSources::new()
        .with_environment([variable("PANGAEA_HUB_ADMIN_TOKEN", "correct-horse-battery")])
        .with_option("--data", "storage.data_dir", "data");
    let loaded = sources.load().unwrap();
    let json = loaded.to_json();
    assert_eq!(json["admin"]["token"], "***");
    for shown in [
        format!("{sources:?}"),
        format!("{loaded:?}"),
        loaded.describe(),
        json.to_string(),
    ] {
        assert!(!shown.contains("horse"), "{shown}");
    }
}

#[test]
fn a_data_folder_that_cannot_be_used_is_found_before_the_start() {
    let place = Place::new("");
    place.write_with_folder("");
    place.sources().load().unwrap().check_outside().unwrap();
    assert!(!place.folder.path().join("data").exists(), "only looked at");
    fs::write(place.folder.path().join("data"), "a file").unwrap();
    let error = place.sources().load().unwrap().check_outside().unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("storage.data_dir: cannot write to "),
        "{error}"
    );
}

#[tokio::test]
async fn a_reload_changes_what_can_change_and_names_the_rest() {
    let place = Place::new("");
    place.write_with_folder("");
    let hub = Hub::start_from(place.sources()).await.unwrap();
    let client = Client::new(hub.url(), key(1));
    assert_eq!(client.put("a", "one").await.status, 202);
    let other = key(2).address();
    place.write_with_folder(&format!(
        "[access]\nserver_name = \"other\"\nallow = [\"{other}\"]\n\
         [reads]\ncache_control = \"public, max-age=60\"\n[limits]\nmax_file_megabytes = 1\n"
    ));
    let mut changes = hub.config_changes();
    let reloaded = hub.reload().await.unwrap();
    assert_eq!(
        reloaded.changed,
        [
            "access.allow",
            "limits.max_file_megabytes",
            "reads.cache_control"
        ]
    );
    assert_eq!(reloaded.needs_restart, ["access.server_name"]);
    assert!(changes.has_changed().unwrap());
    assert_eq!(changes.borrow_and_update().max_file_megabytes, 1);
    // The token is the same and remembered; its bucket may not write any more.
    assert_eq!(client.put("a", "two").await.status, 401);
    assert_eq!(
        Client::new(hub.url(), key(2)).put("a", "x").await.status,
        202
    );
    let read = client.get("a").await;
    assert_eq!(read.headers()["cache-control"], "public, max-age=60");
    // A file with a mistake changes nothing.
    place.write_with_folder("[limits]\nmax_file_megabytes = 0\n");
    let error = hub.reload().await.unwrap_err().to_string();
    assert!(
        error.contains("hub.toml:6: limits.max_file_megabytes takes"),
        "{error}"
    );
    assert_eq!(hub.config().max_file_megabytes, 1);
    hub.shutdown().await.unwrap();
}
