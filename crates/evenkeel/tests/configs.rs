//! Golden configs: `configs/*.conf` hold words above a line of dashes and JSON below, `errors/*.conf` hold a
//! config above and what is told about it below. `UPDATE=1 cargo test` rewrites what is below.

use evenkeel::config::{self, Spelling, load_text, print_text};
use std::path::{Path, PathBuf};

const LINE: &str = "\n--------------------------------------------------------------------------------\n";

/// The files of a folder beside this one, with what stands above their line and below it.
fn golden(folder: &str) -> Vec<(PathBuf, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    assert!(paths.len() > 3, "{} is nearly empty", folder.display());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let (above, below) = text.split_once(LINE).unwrap_or((text.trim_end(), ""));
        (path.clone(), format!("{above}\n"), below.to_owned())
    };
    paths.into_iter().map(read).collect()
}

fn compare(path: &Path, above: &str, below: &str, got: &str, failures: &mut Vec<String>) {
    if got.trim_end() == below.trim_end() {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{}{LINE}{got}", above.trim_end())).expect("it can be written");
    } else {
        failures.push(format!("{}: expected\n{below}\ngot\n{got}", path.display()));
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a test's name is text")
}

#[test]
fn words_and_json_say_the_same() {
    let mut failures = Vec::new();
    for (path, above, below) in golden("configs") {
        let name = name(&path);
        let json = print_text(name, &above, Spelling::Json).unwrap_or_else(|told| panic!("{name}\n{told}"));
        compare(&path, &above, &below, &json, &mut failures);
        let words = load_text(name, &above, None).expect("it was printed");
        // JSON means what it was made of, and is its own spelling.
        let from_json = load_text("x.json", &json, None).unwrap_or_else(|told| panic!("{name}\n{told}"));
        assert_eq!(format!("{:?}", by_name(&from_json)), format!("{:?}", by_name(&words)), "{name}");
        let again = print_text("x.json", &json, Spelling::Json).expect("it was loaded");
        assert_eq!(again, json, "{name}");
        // So are both ways of printing words.
        for spelling in [Spelling::Words, Spelling::Effective] {
            let text = print_text(name, &above, spelling).expect("it was loaded");
            let loaded = load_text(name, &text, None).unwrap_or_else(|told| panic!("{name}\n{text}\n{told}"));
            assert_eq!(loaded.config, words.config, "{name}\n{text}");
            let (tree, _) = evenkeel_syntax::parse(name, text.as_bytes());
            assert_eq!(evenkeel_syntax::format(&tree), text, "{name}: in the one style");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A config without ids, which follow the order of the file, and without the order of servers and backups.
fn by_name(loaded: &config::Loaded) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for pool in &loaded.config.pools {
        let of = &pool.name;
        all.push(format!(
            "{of} {:?} {:?} {} {:?}",
            pool.require, pool.balance, pool.min_serving, pool.slow_start
        ));
        all.extend(pool.checks.iter().map(|check| {
            let spec = &loaded.checks[&check.id];
            format!("{of} {} {:?} {:?} {:?} {:?}", check.name, check.timing, check.rule, spec.spec, spec.port)
        }));
        let server =
            |of: &evenkeel_core::config::Server| (of.name.clone(), of.address.clone(), of.weight, of.backup);
        all.extend(pool.servers.iter().map(|of| format!("{} {:?}", pool.name, server(of))));
    }
    for service in &loaded.config.services {
        let pool = |id| loaded.config.pool(id).map(|pool| pool.name.clone());
        let routes: Vec<_> = service.routes.iter().map(|route| (&route.prefix, pool(route.pool))).collect();
        let of = &service.name;
        all.push(format!("{of} {:?} {routes:?} {:?} {:?}", service.listen, service.retry, service.limits));
    }
    all.sort();
    all
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    let mut failures = Vec::new();
    for (path, above, below) in golden("errors") {
        let got = match load_text(name(&path), &above, None) {
            Ok(loaded) => loaded.told.to_string(),
            Err(told) => told.to_string(),
        };
        assert!(!got.is_empty(), "{}: nothing is told", path.display());
        compare(&path, &above, &below, &got, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
