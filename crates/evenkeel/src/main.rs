//! The binary: hands the words of the command line to a verb.

fn main() -> std::process::ExitCode {
    evenkeel::verbs::main()
}
