//! The verbs that read configs, run as people run them.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn evenkeel(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(args).current_dir(folder).output().expect("the binary runs")
}

/// Exit code, standard output, standard error.
fn said(args: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let output = evenkeel(args, folder);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("it can be written");
    path
}

const GOOD: &str = "service web {
    listen 127.0.0.1:8080
    pool web
}
pool web {
    server a 10.0.0.1:80
    check tcp
}
";

#[test]
fn validate_tells_everything_and_its_code_says_whether() {
    let folder = folder();
    write(&folder, "good.conf", GOOD);
    write(&folder, "bad.conf", &GOOD.replace("check tcp", "chekc tcp every 5\n    balance tow"));
    let (code, out, err) = said(&["validate", "good.conf"], folder.path());
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "good.conf: valid\n", ""));
    let (code, out, err) = said(&["validate", "bad.conf"], folder.path());
    assert_eq!((code, out.as_str()), (Some(1), "bad.conf: not valid, 2 errors\n"));
    assert_eq!(
        err,
        "error: unknown word `chekc`
 --> bad.conf:7:5
  |
7 |     chekc tcp every 5
  |     ^^^^^ did you mean `check`?

error: unknown word `tow`
 --> bad.conf:8:13
  |
8 |     balance tow
  |             ^^^ did you mean `two`?
"
    );
    let (code, _, err) = said(&["validate", "gone.conf"], folder.path());
    assert_eq!(code, Some(1));
    assert_eq!(err, "error: cannot read gone.conf: No such file or directory (os error 2)\n");
}

#[test]
fn validate_tells_programs_the_same() {
    let folder = folder();
    write(&folder, "bad.conf", &GOOD.replace("pool web {", "pool wbe {"));
    let (code, out, _) = said(&["validate", "--json", "bad.conf"], folder.path());
    assert_eq!(code, Some(1));
    let told: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(
        told,
        serde_json::json!([{
            "severity": "error",
            "place": { "file": "bad.conf", "line": 3, "column": 10, "width": 3 },
            "message": "there is no pool `web`",
            "label": "did you mean `wbe`?",
            "help": null,
            "notes": [{
                "text": "`wbe` is defined here",
                "place": { "file": "bad.conf", "line": 5, "column": 6, "width": 3 }
            }]
        }])
    );
}

#[test]
fn fmt_prints_checks_and_rewrites() {
    let folder = folder();
    let ugly = "service web{\nlisten   127.0.0.1:8080 # here\n pool web\n}".replace("web{", "web {");
    let path = write(&folder, "x.conf", &ugly);
    let pretty = "service web {\n    listen 127.0.0.1:8080    # here\n    pool web\n}\n";
    let (code, out, _) = said(&["fmt", "x.conf"], folder.path());
    assert_eq!((code, out.as_str()), (Some(0), pretty));
    assert_eq!(said(&["fmt", "--check", "x.conf"], folder.path()).0, Some(1));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), ugly, "nothing was written");
    assert_eq!(said(&["fmt", "--write", "x.conf"], folder.path()).0, Some(0));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), pretty);
    assert_eq!(said(&["fmt", "--check", "x.conf"], folder.path()), (Some(0), String::new(), String::new()));
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").collect();
    assert_eq!(names.len(), 1, "nothing is left behind");
    // A file that cannot be read whole is not rewritten.
    write(&folder, "x.conf", "pool web {\n");
    assert_eq!(said(&["fmt", "--write", "x.conf"], folder.path()).0, Some(1));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "pool web {\n");
}

#[test]
fn config_prints_what_run_takes() {
    let folder = folder();
    write(&folder, "x.conf", &format!("include more.conf\n{GOOD}"));
    write(&folder, "more.conf", "defaults {\n    check every 7s\n}\n");
    let (code, json, err) = said(&["config", "--json", "x.conf"], folder.path());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    write(&folder, "x.json", &json);
    let (code, out, err) = said(&["validate", "x.json"], folder.path());
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "x.json: valid\n", ""));
    let (_, from_words, _) = said(&["config", "--effective", "x.conf"], folder.path());
    let (_, from_json, _) = said(&["config", "--effective", "x.json"], folder.path());
    let check = "check tcp every 7s timeout 2s connect 1s fast 1s as tcp close fin {";
    assert!(from_words.contains(check), "{from_words}");
    let sorted = |text: &str| {
        let mut blocks: Vec<String> = text.split("\n\n").map(|block| block.trim().to_owned()).collect();
        blocks.sort();
        blocks
    };
    assert_eq!(sorted(&from_words), sorted(&from_json));
}

#[test]
fn mistakes_in_json_are_told_in_words_or_by_their_path() {
    let folder = folder();
    write(
        &folder,
        "x.json",
        r#"{"service": [{"name": "web", "listen": [{"address": "127.0.0.1:99999"}], "pool": "web", "colour": 1}],
            "pool": [{"name": "web", "check": [{"kind": "tpc"}],
                "server": [{"name": "a", "adress": "10.0.0.1:80"}]}]}"#,
    );
    let (code, _, err) = said(&["validate", "x.json"], folder.path());
    assert_eq!(code, Some(1));
    for wanted in [
        "error: x.json at `service[0]`: unknown field `colour`",
        "error: x.json at `pool[0].server[0]`: `address` is missing",
        "error: x.json at `pool[0].server[0]`: unknown field `adress`, did you mean `address`?",
        "error: x.json at `pool[0].check[0]`: `kind` is missing or is no kind of check",
        "error: port 99999 is not in 1-65535\n --> x.json in words:",
    ] {
        assert!(err.contains(wanted), "{wanted}\n{err}");
    }
    write(&folder, "y.json", "{\"service\": [}");
    let (_, _, err) = said(&["validate", "y.json"], folder.path());
    assert_eq!(err, "error: y.json: expected value at line 1 column 14\n");
}

#[test]
fn the_schema_knows_every_field() {
    let folder = folder();
    let (code, out, _) = said(&["config", "--schema"], folder.path());
    assert_eq!(code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    let server = &schema["properties"]["pool"]["items"]["properties"]["server"];
    assert_eq!(server["items"]["required"], serde_json::json!(["name", "address"]));
    assert_eq!(server["items"]["properties"]["weight"]["maximum"], 256);
    let golden = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs"));
    for path in golden.expect("the folder is there").map(|entry| entry.expect("it can be listed").path()) {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let json =
            text.split("\n-----").nth(1).and_then(|below| below.split_once('\n')).expect("JSON below").1;
        let value: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        if let Err(why) = fits(&value, &schema) {
            panic!("{}: {why}", path.display());
        }
    }
}

/// As much of JSON Schema as ours uses: types, properties, required, items, anyOf, enum, const, bounds.
fn fits(value: &serde_json::Value, schema: &serde_json::Value) -> Result<(), String> {
    if let Some(any) = schema["anyOf"].as_array() {
        let tried: Vec<String> = any.iter().filter_map(|schema| fits(value, schema).err()).collect();
        return if tried.len() < any.len() { Ok(()) } else { Err(tried.join("; ")) };
    }
    let good = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => {
            let number = value.as_u64();
            number >= schema["minimum"].as_u64() && number <= schema["maximum"].as_u64().or(Some(u64::MAX))
        }
        Some(other) => return Err(format!("type {other}")),
        None => schema["enum"].as_array().map_or(&schema["const"] == value, |all| all.contains(value)),
    };
    if !good {
        return Err(format!("{value} is not {schema}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"])?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for needed in schema["required"].as_array().into_iter().flatten() {
        let name = needed.as_str().ok_or("required is no list of names")?;
        object.get(name).ok_or_else(|| format!("{name} is missing in {value}"))?;
    }
    for (name, value) in object {
        let property = schema["properties"].get(name).ok_or_else(|| format!("unknown field {name}"))?;
        fits(value, property).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

#[test]
fn a_reader_that_has_had_enough_is_no_reason_to_panic() {
    let verbs: [&[&str]; 4] =
        [&["validate", "--json"], &["config", "--schema"], &["config", "--reference"], &["fmt"]];
    for verb in verbs {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args(verb)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/quick-start.conf"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Gone before the first byte: as `| head -c 0` is.
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("a file and a program to be had");
        assert_eq!(output.status.code(), Some(0), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// As [`said`], with something to read on standard input.
fn said_of(args: &[&str], input: &str, folder: &Path) -> (Option<i32>, String, String) {
    let file = folder.join("input");
    std::fs::write(&file, input).expect("a file and a program to be had");
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command
        .args(args)
        .current_dir(folder)
        .stdin(std::fs::File::open(file).expect("a file and a program to be had"));
    let output = command.output().expect("a file and a program to be had");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn configs_come_by_standard_input_too() {
    let folder = folder();
    let good = write(&folder, "good.conf", GOOD);
    let valid = (Some(0), "-: valid\n".to_owned(), String::new());
    assert_eq!(said_of(&["validate", "-"], GOOD, folder.path()), valid);
    assert_eq!(said_of(&["validate", "-"], "include good.conf\n", folder.path()), valid);
    let (code, out, err) = said_of(&["validate", "-"], &GOOD.replace("check", "chekc"), folder.path());
    assert_eq!((code, out.as_str()), (Some(1), "-: not valid, 1 error\n"));
    assert!(err.contains(" --> -:7:5\n"), "{err}");
    let from_file = said(&["config", good.to_str().unwrap(), "--json"], folder.path());
    assert_eq!(said_of(&["config", "-", "--json"], GOOD, folder.path()), from_file);
    assert_eq!(said_of(&["config", "-", "--json"], &from_file.1, folder.path()), from_file);
    let (code, _, err) = said_of(&["run", "-"], GOOD, folder.path());
    assert!(code == Some(2) && err.contains("needs a config file"), "{err}");
}

#[test]
fn a_demo_that_nobody_watches_any_more_ends_quietly_and_takes_all_along() {
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["demo", "--for", "12s", "--rate", "10"])
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    assert!(first.starts_with("evenkeel with this config"), "{first}");
    let since = std::time::Instant::now();
    drop(out);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
    assert!(
        since.elapsed() < std::time::Duration::from_secs(10),
        "it went on alone for {:?}",
        since.elapsed()
    );
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "its folder goes when its processes have: {left:?}");
}
