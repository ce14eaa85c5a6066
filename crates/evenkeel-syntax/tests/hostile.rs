//! Texts that are no configs: each gets a clear answer with line and column, soon, and never a panic.

use evenkeel_syntax::{Diagnostic, FILE_MAX, closest, load, parse, render};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn told(bytes: &[u8]) -> String {
    let (tree, errors) = parse("x.conf", bytes);
    render(&errors, &tree.files)
}

#[test]
fn bytes_that_are_no_text() {
    assert_eq!(
        told(b"pool web {\n    server \xff\xfe a:1\n}\n"),
        "error: the file is not UTF-8 here
 --> x.conf:2:12
  |
2 |     server \u{fffd}\u{fffd} a:1
  |            ^ byte 0xff
help: in a quoted word, write the byte as `\\xff`
"
    );
    assert_eq!(
        told(b"pool web\0 {\n}\n"),
        "error: a control character (0x00) cannot stand here
 --> x.conf:1:9
  |
1 | pool web\u{fffd} {
  |         ^
help: in a quoted word, write it as `\\x00`
"
    );
}

#[test]
fn a_mark_of_byte_order_and_line_ends_of_windows_are_nothing() {
    let (tree, errors) = parse("x", b"\xef\xbb\xbfpool web {\r\n    check none\r\n}\r\n");
    assert_eq!(errors, []);
    assert_eq!(evenkeel_syntax::format(&tree), "pool web {\n    check none\n}\n");
    assert_eq!(tree.root[0].words[0].place.column, 1);
}

#[test]
fn a_file_that_is_far_too_large() {
    let text = vec![b'a'; 10 << 20];
    let begun = Instant::now();
    assert_eq!(
        told(&text),
        "error: the file is larger than 4 MiB: this cannot be a config
 --> x.conf:1:1
  |
1 |\u{20}
  | ^
"
    );
    assert!(begun.elapsed() < Duration::from_secs(1), "it was not read");
    let path = folder("large").join("large.conf");
    std::fs::write(&path, &text).expect("it can be written");
    let (_, errors) = load(&path);
    assert!(matches!(&errors[..], [one] if one.message.contains("4 MiB")), "{errors:?}");
}

#[test]
fn what_is_large_but_allowed_is_read_soon() {
    for piece in
        ["a", "a ", "{\n", "}\n", "\"", "\"a\" ", "a {\n", "# x\n", "a\n", "\u{0}", "\u{fffd}\n", "\t"]
    {
        let text = piece.repeat((FILE_MAX / 4) / piece.len());
        let begun = Instant::now();
        let (tree, errors) = parse("x", text.as_bytes());
        assert!(errors.len() <= 51, "{piece:?}: {} errors", errors.len());
        let told = render(&errors, &tree.files);
        assert!(told.len() < 60_000, "{piece:?}: {} bytes", told.len());
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "{piece:?} took {took:?}");
    }
}

#[test]
fn a_long_line_is_shown_in_part() {
    let text = format!("pool {}\"oops", "x".repeat(10_000) + " ");
    let told = told(text.as_bytes());
    assert!(told.contains("x.conf:1:10007"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() < 260), "{told}");
    assert!(told.contains("\"oops\n"), "{told}");
}

#[test]
fn tabs_stay_where_the_caret_needs_them() {
    assert_eq!(
        told(b"\tserver\ta\t'x\n"),
        "error: a quote is never closed
 --> x.conf:1:11
  |
1 | \tserver\ta\t'x
  | \t      \t \t^^ no `'` before the end of the line
help: a quoted word ends on its line; a line break inside it is written `\\n`
"
    );
}

#[test]
fn a_word_nobody_could_mean() {
    assert_eq!(closest(&"server".repeat(50_000), ["server"]), None);
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("syntax-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the folder can be made");
    path
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
    std::fs::write(&path, text).expect("it can be written");
    path
}

fn loaded(path: &Path, folder: &Path) -> (String, String) {
    let (tree, errors) = load(path);
    let words: Vec<&str> = tree.root.iter().map(|line| line.words[0].text.as_str()).collect();
    (words.join(" "), render(&errors, &tree.files).replace(&format!("{}/", folder.display()), ""))
}

#[test]
fn included_files_come_in_the_order_of_their_names() {
    let folder = folder("include");
    let main = write(&folder, "main.conf", "first\ninclude conf.d/*.conf\nlast\n");
    write(&folder, "conf.d/20.conf", "third\n");
    write(&folder, "conf.d/10.conf", "second\ninclude more/x.conf\n");
    write(&folder, "conf.d/more/x.conf", "deeper\n");
    write(&folder, "conf.d/30.conf~", "never\n");
    write(&folder, "conf.d/.40.conf", "never\n");
    assert_eq!(loaded(&main, &folder), ("first second deeper third last".to_owned(), String::new()));
}

#[test]
fn mistakes_in_included_files_are_told_where_they_are() {
    let folder = folder("include-mistakes");
    let main = write(&folder, "main.conf", "include a.conf\ninclude gone.conf\ninclude */x.conf\ninclude\n");
    write(&folder, "a.conf", "pool {\n");
    let (_, told) = loaded(&main, &folder);
    assert_eq!(
        told,
        "error: the block of `pool` is never closed
 --> a.conf:1:6
  |
1 | pool {
  |      ^ opened here
help: a block ends with a `}` on a line of its own

error: cannot read gone.conf: No such file or directory (os error 2)
 --> main.conf:2:9
  |
2 | include gone.conf
  |         ^^^^^^^^^

error: `*` may stand only in the last part of the path
 --> main.conf:3:9
  |
3 | include */x.conf
  |         ^^^^^^^^

error: `include` takes one path
 --> main.conf:4:1
  |
4 | include
  | ^^^^^^^ write for example `include conf.d/*.conf`
"
    );
}

#[test]
fn an_include_loop_is_told_with_its_way() {
    let folder = folder("include-loop");
    let main = write(&folder, "main.conf", "include a.conf\n");
    write(&folder, "a.conf", "x\ninclude b.conf\n");
    write(&folder, "b.conf", "include a.conf\n");
    let (words, told) = loaded(&main, &folder);
    assert_eq!(words, "x");
    assert_eq!(
        told,
        "error: a.conf includes itself
 --> b.conf:1:9
  |
1 | include a.conf
  |         ^^^^^^ an include loop
note: by way of this
 --> a.conf:2:9
  |
2 | include b.conf
  |         ^^^^^^
"
    );
    // And one that never comes back to the same file.
    let deep = write(&folder, "deep0.conf", "include deep1.conf\n");
    for depth in 1..20 {
        write(&folder, &format!("deep{depth}.conf"), &format!("include deep{}.conf\n", depth + 1));
    }
    let (_, errors) = load(&deep);
    assert!(
        matches!(&errors[..], [Diagnostic { message, .. }] if message == "too much is included"),
        "{errors:?}"
    );
}

#[test]
fn a_file_that_is_not_there() {
    let (_, errors) = load(Path::new("/nonexistent/evenkeel.conf"));
    assert_eq!(
        errors[0].message,
        "cannot read /nonexistent/evenkeel.conf: No such file or directory (os error 2)"
    );
    let (_, errors) = load(Path::new("/"));
    assert_eq!(errors[0].message, "cannot read /: it is a directory");
}

#[test]
fn a_terminal_does_not_obey_a_config() {
    let (tree, mut errors) =
        parse("x", b"pool \"\\x1b[2Jevil\\n\" {\n}\n\xe6\x97\xa5\xe6\x9c\xac \"\x1b[31m\"\n");
    errors.push(Diagnostic::error(
        tree.root[0].words[1].place,
        format!("unknown `{}`", tree.root[0].words[1].text),
    ));
    let told = render(&errors, &tree.files);
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}");
    assert!(told.contains("unknown `\u{fffd}[2Jevil\u{fffd}`"), "{told}");
    let painted = evenkeel_syntax::paint(&told);
    let mut plain = painted.clone();
    for code in ["\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, told, "colours change nothing else");
}

#[test]
fn a_caret_stands_below_wide_letters() {
    let (tree, errors) = parse("x", "日本 e\u{301}a 'x".as_bytes());
    let told = render(&errors, &tree.files);
    assert!(told.contains("\n  |         ^^ no"), "{told}");
}
