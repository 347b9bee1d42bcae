//! `kiln-check DATA_DIR [--secret VALUE]…`: prints every violated invariant; exit status 1 when there is one.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut data = None;
    let mut secrets = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--secret" => secrets.extend(args.next()),
            _ => data = Some(PathBuf::from(arg)),
        }
    }
    let Some(data) = data else {
        eprintln!("usage: kiln-check DATA_DIR [--secret VALUE]...");
        return ExitCode::from(2);
    };
    match kiln_check::check(&data, &secrets) {
        Ok(violations) if violations.is_empty() => {
            println!("every invariant holds");
            ExitCode::SUCCESS
        }
        Ok(violations) => {
            for violation in violations {
                println!("{violation}");
            }
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("{}: {e}", data.display());
            ExitCode::from(2)
        }
    }
}
