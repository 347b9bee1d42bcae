use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    run: RunArgs,
}

fn parse(args: &[&str]) -> RunArgs {
    let mut run = Command::try_parse_from([&["run"], args].concat()).unwrap().run;
    run.settle().unwrap();
    run
}

fn refused(args: &[&str]) -> String {
    Command::try_parse_from([&["run"], args].concat()).unwrap_err().to_string()
}

fn identity() -> Identity {
    let id = "local:0f0e0d0c-1111-4222-8333-444455556666".parse().unwrap();
    Identity { id, number: 7, submitted_ns: 5 }
}

fn job(args: &[&str], dir: &Path) -> Job {
    let args = parse(args);
    let environment = Environment::default();
    let checked = args.check(dir.canonicalize().unwrap(), &environment).unwrap();
    args.job(checked, identity(), Path::new("/data"), &environment)
}

#[test]
fn defaults_are_those_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(&[], dir.path());
    assert_eq!(job.timeout_secs, 3600);
    assert_eq!((job.image.as_str(), job.network, job.keep), ("host", Network::Private, Keep::OnFailure));
    assert_eq!(job.artifacts, Path::new("/data/runs/0f0e0d0c-1111-4222-8333-444455556666/artifacts"));
    assert_eq!(job.cache.as_deref(), Some(Path::new("/data/cache")));
    assert_eq!(job.buildspec, BuildspecSource::Default);
    assert_eq!(job.source.dir, dir.path().canonicalize().unwrap());
    assert!(!job.source.in_place && !job.privileged && job.resume.is_none());
}

#[test]
fn every_option_reaches_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let helper = dir.path().join("helper");
    fs::create_dir(&helper).unwrap();
    let secondary = format!("helper={}", helper.display());
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let job = job(
        &[
            "--image",
            "img:1",
            "-e",
            "A=1",
            "-e",
            "B=x=y",
            "--secondary-source",
            &secondary,
            "--artifacts",
            out,
            "--reports",
            out,
            "--cache",
            out,
            "--compute",
            "large",
            "--privileged",
            "--network",
            "none",
            "--engine",
            "oci",
            "--timeout",
            "0.5",
            "--keep",
            "--in-place",
            "--packaging",
            "none",
        ],
        dir.path(),
    );
    assert_eq!(job.image, "img:1");
    assert_eq!(job.variables, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x=y".to_owned())]);
    assert_eq!(job.source.secondary, [("helper".to_owned(), helper.canonicalize().unwrap())]);
    assert_eq!((job.artifacts.to_str(), job.reports.to_str()), (Some(out), Some(out)));
    assert_eq!(job.cache.unwrap().to_str(), Some(out));
    assert_eq!((job.compute, job.network, job.keep), (ComputeType::Large, Network::None, Keep::Always));
    assert_eq!(job.engine, EngineChoice::Oci { runtime: "runc".into() });
    assert_eq!((job.timeout_secs, job.packaging), (30, Packaging::None));
    assert!(job.privileged && job.source.in_place);
    assert_eq!(super::tests::job(&["--no-cache"], dir.path()).cache, None);
}

#[test]
fn mistakes_are_refused() {
    for (args, says) in [
        (&["--timeout", "0"][..], "more than 0"),
        (&["--timeout", "2161"], "at most 2160"),
        (&["--timeout", "NaN"], "more than 0"),
        (&["--timeout", "soon"], "not a number"),
        (&["--compute", "tiny"], "BUILD_GENERAL1_SMALL"),
        (&["--network", "vpc"], "vpc"),
        (&["--json", "--quiet"], "cannot be used with"),
        (&["--cache", "c", "--no-cache"], "cannot be used with"),
        (&["--from-command", "2"], "--resume"),
        (&["--resume", "--from-command", "0"], "0 is not in"),
    ] {
        assert!(refused(args).contains(says), "{args:?}: {}", refused(args));
    }
    let dir = tempfile::tempdir().unwrap();
    for (args, says) in [
        (&["-e", "=1"][..], "empty"),
        (&["-e", "KILN_TEST_SURELY_NOT_SET"], "NAME=VALUE"),
        (&["--engine", "docker"], "not in this version"),
        (&["--runtime", "crun"], "--engine oci"),
        (&["--secondary-source", "x"], "ID=DIR"),
        (&["--secondary-source", "a-b=."], "letters, digits"),
        (&["--secondary-source", "a=.", "--secondary-source", "a=."], "twice"),
        (&["--secondary-source", "a=/does/not/exist"], "cannot be used"),
        (&["--buildspec", "nowhere.yml"], "no such file"),
        (&["--artifacts", "/dev/null"], "not a directory"),
        (&["--image", " "], "empty"),
    ] {
        let error = parse(args).check(dir.path().to_owned(), &Environment::default()).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains(says), "{args:?}: {error}");
    }
}

#[test]
fn a_variable_without_a_value_is_taken_from_the_environment() {
    let args = parse(&["-e", "PATH"]);
    assert_eq!(args.variables().unwrap(), [("PATH".to_owned(), std::env::var("PATH").unwrap())]);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vars");
    fs::write(&file, "A=file\n").unwrap();
    let args = parse(&["-e", "A=line", "--env-file", file.to_str().unwrap()]);
    let values: Vec<String> = args.variables().unwrap().into_iter().map(|(_, v)| v).collect();
    assert_eq!(values, ["file", "line"], "later ones win");
}

#[test]
fn a_buildspec_in_the_source_is_read_there_and_another_here() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("src");
    fs::create_dir_all(source.join("ci")).unwrap();
    fs::write(source.join("ci/test.yml"), "version: 0.2").unwrap();
    fs::write(dir.path().join("other.yml"), "version: 0.1").unwrap();
    let source = source.canonicalize().unwrap();
    let absolute = source.join("ci/test.yml");
    for file in [Path::new("ci/test.yml"), &absolute] {
        assert_eq!(buildspec(file, &source).unwrap(), BuildspecSource::InSource("ci/test.yml".to_owned()));
    }
    let other = dir.path().join("other.yml");
    let inline = BuildspecSource::Inline { text: "version: 0.1".to_owned(), name: other.display().to_string() };
    assert_eq!(buildspec(&other, &source).unwrap(), inline);
    // A link in the source that leads out of it is left to the runner, which refuses it.
    std::os::unix::fs::symlink("/etc/passwd", source.join("link.yml")).unwrap();
    let link = source.join("link.yml");
    assert_eq!(buildspec(&link, &source).unwrap(), BuildspecSource::InSource("link.yml".to_owned()));
}

#[test]
fn resume_takes_an_id_or_leaves_the_word_to_the_directory() {
    let args = parse(&["--resume", "3f2a9c1d"]);
    assert_eq!((args.resume.as_deref(), args.dir), (Some("3f2a9c1d"), None));
    let args = parse(&["--resume", "./app"]);
    assert_eq!((args.resume.as_deref(), args.dir.as_deref()), (Some(""), Some(Path::new("./app"))));
    let args = parse(&["app", "--resume"]);
    assert_eq!((args.resume.as_deref(), args.dir.as_deref()), (Some(""), Some(Path::new("app"))));
}

#[test]
fn a_resumed_build_is_as_the_old_one_but_for_what_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let old = job(&["-e", "A=1", "--compute", "medium", "--timeout", "5"], dir.path());
    let real = dir.path().canonicalize().unwrap();
    let new_id = "local:11111111-1111-4222-8333-444455556666";
    let resumed = |args: &[&str]| {
        let args = parse(args);
        let environment = Environment::default();
        let checked = args.check(real.clone(), &environment)?;
        let identity = Identity { id: new_id.parse().unwrap(), number: 8, submitted_ns: 6 };
        args.resumed_job(old.clone(), checked, identity, &environment)
    };
    let job = resumed(&["--resume", "-e", "A=2", "--compute", "large"]).unwrap();
    assert_eq!(job.variables.last().unwrap().1, "2");
    assert_eq!((job.compute, job.timeout_secs), (ComputeType::Large, 300));
    assert_eq!(job.artifacts, Path::new("/data/runs/11111111-1111-4222-8333-444455556666/artifacts"));
    for change in [&["--image", "other"][..], &["--in-place"], &["--engine", "oci"], &["--secondary-source", "a=."]] {
        let error = resumed(&[&["--resume"], change].concat()).unwrap_err();
        assert!(error.to_string().contains("cannot go on"), "{change:?}: {error}");
    }
}
