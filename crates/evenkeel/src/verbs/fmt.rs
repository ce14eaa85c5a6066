//! `evenkeel fmt`: prints or rewrites a config file in the one style.

use crate::config::DEFAULT_PATH;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prints or rewrites a config file in the one style.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config, in words; what it includes is not touched. `-`: standard input.
    #[arg(default_value = DEFAULT_PATH)]
    file: PathBuf,
    /// Writes nothing; exit code 1 says that the file is not in the one style.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Rewrites the file, if it changes.
    #[arg(long)]
    write: bool,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let bytes = match read(&args.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("evenkeel: cannot read {}: {error}", args.file.display());
            return ExitCode::from(2);
        }
    };
    let (tree, errors) = evenkeel_syntax::parse(&args.file.display().to_string(), &bytes);
    if !errors.is_empty() {
        eprint!("{}", evenkeel_syntax::render(&errors, &tree.files));
        return ExitCode::FAILURE;
    }
    let text = evenkeel_syntax::format(&tree);
    let same = text.as_bytes() == bytes;
    if args.check {
        if !same {
            let file = args.file.display();
            super::show(&format!("{file}: not in the one style; `evenkeel fmt --write` mends it\n"));
        }
        return if same { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let done = match args.write && args.file != Path::new("-") {
        true if same => Ok(()),
        true => replace(&args.file, &text),
        false => std::io::stdout().write_all(text.as_bytes()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // `| head`: a reader that has had enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel: cannot write {}: {error}", args.file.display());
            ExitCode::from(2)
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let bound = evenkeel_syntax::FILE_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(bound).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Writes a file beside the old one, then puts it in its place: nobody ever reads half a config.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let beside = path.with_extension("evenkeel-fmt");
    let written = (|| {
        let mut file = std::fs::File::create(&beside)?;
        file.set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}
