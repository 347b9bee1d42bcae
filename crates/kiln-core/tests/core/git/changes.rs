//! Commits that are made by operations, and what is read of them.

use super::*;

fn commit_of(parent: Option<&str>) -> CreateCommitInput {
    CreateCommitInput {
        repository_name: "demo".to_owned(),
        branch_name: "main".to_owned(),
        parent_commit_id: parent.map(str::to_owned),
        ..Default::default()
    }
}

fn file(path: &str, text: &str) -> PutFileEntry {
    PutFileEntry {
        file_path: path.to_owned(),
        file_content: Some(text.as_bytes().to_vec().into()),
        ..Default::default()
    }
}

fn moved(from: &str, to: &str, is_move: bool) -> PutFileEntry {
    let source = SourceFileSpecifier { file_path: from.to_owned(), is_move: Some(is_move) };
    PutFileEntry { file_path: to.to_owned(), source_file: Some(source), ..Default::default() }
}

fn deleted(path: &str) -> DeleteFileEntry {
    DeleteFileEntry { file_path: path.to_owned() }
}

async fn folder(core: &Server, path: &str) -> Result<Vec<String>, ApiError> {
    let input =
        GetFolderInput { repository_name: "demo".to_owned(), commit_specifier: None, folder_path: path.to_owned() };
    let found = core.get_folder(&context(), input).await?;
    let folders = found.sub_folders.unwrap().into_iter().filter_map(|folder| folder.absolute_path);
    let files = found.files.unwrap().into_iter().filter_map(|file| file.absolute_path);
    Ok(folders.map(|name| format!("{name}/")).chain(files).collect())
}

async fn content(core: &Server, path: &str, at: Option<&str>) -> Result<String, ApiError> {
    let input = GetFileInput {
        repository_name: "demo".to_owned(),
        commit_specifier: at.map(str::to_owned),
        file_path: path.to_owned(),
    };
    Ok(String::from_utf8(core.get_file(&context(), input).await?.file_content.0).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_and_deleted_one_by_one() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "demo").await;
    refused(put(&core, "a", "", None).await, ErrorCode::FileContentRequired);
    refused(put(&core, "../a", "x", None).await, ErrorCode::InvalidPath);
    refused(put(&core, "a", "x", Some(&"a".repeat(40))).await, ErrorCode::BranchDoesNotExist);
    let first = put(&core, "d/a", "1", None).await.unwrap();
    refused(put(&core, "d/a", "2", None).await, ErrorCode::ParentCommitIdRequired);
    refused(put(&core, "d/a", "2", Some("x")).await, ErrorCode::InvalidParentCommitId);
    refused(put(&core, "d/a", "2", Some(&"a".repeat(40))).await, ErrorCode::ParentCommitDoesNotExist);
    refused(put(&core, "d/a", "1", Some(&first)).await, ErrorCode::SameFileContent);
    refused(put(&core, "d", "1", Some(&first)).await, ErrorCode::FileNameConflictsWithDirectoryName);
    refused(put(&core, "d/a/b", "1", Some(&first)).await, ErrorCode::DirectoryNameConflictsWithFileName);
    let second = put(&core, "/d/a", "2", Some(&first)).await.unwrap();
    refused(put(&core, "d/a", "3", Some(&first)).await, ErrorCode::ParentCommitIdOutdated);
    assert_eq!(content(&core, "d/a", None).await.unwrap(), "2");
    assert_eq!(content(&core, "d/a", Some(&first)).await.unwrap(), "1");
    assert_eq!(content(&core, "d/a", Some("main")).await.unwrap(), "2");
    refused(content(&core, "d/x", None).await, ErrorCode::FileDoesNotExist);
    refused(content(&core, "d", None).await, ErrorCode::FileDoesNotExist);
    refused(content(&core, "d/a", Some("nothing")).await, ErrorCode::CommitDoesNotExist);
    refused(content(&core, "d/a", Some("--help")).await, ErrorCode::InvalidCommit);
    let delete = |path: &str, keep| DeleteFileInput {
        repository_name: "demo".to_owned(),
        branch_name: "main".to_owned(),
        file_path: path.to_owned(),
        parent_commit_id: second.clone(),
        keep_empty_folders: Some(keep),
        ..Default::default()
    };
    refused(core.delete_file(&context(), delete("x", false)).await, ErrorCode::FileDoesNotExist);
    let gone = core.delete_file(&context(), delete("d/a", true)).await.unwrap();
    assert_eq!(folder(&core, "d").await.unwrap(), ["d/.gitkeep"]);
    assert_eq!(gone.file_path, "d/a");
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_changes_many_files() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "demo").await;
    let make = async |input: CreateCommitInput| core.create_commit(&context(), input).await;
    refused(make(commit_of(None)).await, ErrorCode::FileEntryRequired);
    let files = vec![file("a", "1"), file("d/b", "2"), file("d/c", "3")];
    let input = CreateCommitInput {
        put_files: Some(files),
        author_name: Some("An Author <x>\n".to_owned()),
        email: Some("a@b".to_owned()),
        commit_message: Some("first\n".to_owned()),
        ..commit_of(None)
    };
    let first = make(input).await.unwrap();
    assert_eq!(first.files_added.unwrap().len(), 3);
    let parent = first.commit_id.unwrap();
    assert_eq!(folder(&core, "/").await.unwrap(), ["d/", "a"]);
    let input = GetCommitInput { repository_name: "demo".to_owned(), commit_id: parent.clone() };
    let told = core.get_commit(&context(), input).await.unwrap().commit;
    assert_eq!(told.author.unwrap().name.as_deref(), Some("An Author  x"));
    assert_eq!((told.message.as_deref(), told.parents), (Some("first\n"), Some(Vec::new())));

    let of = |puts: Vec<PutFileEntry>, deletes: Vec<DeleteFileEntry>| CreateCommitInput {
        put_files: Some(puts),
        delete_files: Some(deletes),
        ..commit_of(Some(&parent))
    };
    let both = PutFileEntry { source_file: moved("a", "x", false).source_file, ..file("x", "1") };
    for (input, code) in [
        (of(vec![file("x", "1"), file("x", "2")], vec![]), ErrorCode::PutFileEntryConflict),
        (of(vec![file("a", "2")], vec![deleted("a")]), ErrorCode::SamePathRequest),
        (of(vec![], vec![deleted("nothing")]), ErrorCode::FileDoesNotExist),
        (of(vec![file("a", "1")], vec![]), ErrorCode::NoChange),
        (of(vec![both], vec![]), ErrorCode::FileContentAndSourceFileSpecified),
        (
            of(vec![PutFileEntry { file_path: "x".to_owned(), ..Default::default() }], vec![]),
            ErrorCode::SourceFileOrContentRequired,
        ),
        (of(vec![moved("a", "x", true), moved("a", "y", true)], vec![deleted("a")]), ErrorCode::RestrictedSourceFile),
        (of(vec![file(".git/config", "x")], vec![]), ErrorCode::InvalidPath),
        (of((0..101).map(|n| file(&n.to_string(), "x")).collect(), vec![]), ErrorCode::MaximumFileEntriesExceeded),
        (
            of(vec![file("big", &"x".repeat(7 << 20)), file("b", "12")], vec![]),
            ErrorCode::FolderContentSizeLimitExceeded,
        ),
        (
            CreateCommitInput { email: Some("<".to_owned()), ..of(vec![file("x", "1")], vec![]) },
            ErrorCode::InvalidEmail,
        ),
        (
            CreateCommitInput { branch_name: "x".to_owned(), ..of(vec![file("x", "1")], vec![]) },
            ErrorCode::BranchDoesNotExist,
        ),
    ] {
        refused(make(input).await, code);
    }
    let input = CreateCommitInput {
        set_file_modes: Some(vec![SetFileModeEntry {
            file_path: "a".to_owned(),
            file_mode: FileModeTypeEnum::Executable,
        }]),
        keep_empty_folders: Some(true),
        ..of(vec![moved("d/b", "e", true), file("d", "now a file")], vec![deleted("d/c")])
    };
    // A file takes the place of the folder, so that nothing is left to keep.
    let second = make(input).await.unwrap();
    let paths = |files: Option<Vec<FileMetadata>>| {
        files.unwrap().into_iter().map(|file| file.absolute_path.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(paths(second.files_added), ["d", "e"]);
    assert_eq!(paths(second.files_updated), ["a"]);
    assert_eq!(paths(second.files_deleted), ["d/b", "d/c"]);
    let input = GetDifferencesInput {
        repository_name: "demo".to_owned(),
        before_commit_specifier: Some(parent.clone()),
        after_commit_specifier: "main".to_owned(),
        max_results: Some(3),
        ..Default::default()
    };
    let page = core.get_differences(&context(), input.clone()).await.unwrap();
    let rest = GetDifferencesInput { next_token: page.next_token.clone(), ..input.clone() };
    let rest = core.get_differences(&context(), rest).await.unwrap();
    let changes: Vec<_> = page.differences.unwrap().into_iter().chain(rest.differences.unwrap()).collect();
    let shown: Vec<_> = changes
        .iter()
        .map(|change| {
            let blob = change.after_blob.as_ref().or(change.before_blob.as_ref()).unwrap();
            (blob.path.as_deref().unwrap(), change.change_type.unwrap())
        })
        .collect();
    use ChangeTypeEnum::{Added, Deleted, Modified};
    assert_eq!(shown, [("a", Modified), ("d", Added), ("d/b", Deleted), ("d/c", Deleted), ("e", Added)]);
    assert_eq!(rest.next_token, None);
    let bad = GetDifferencesInput { next_token: Some("x".to_owned()), ..input.clone() };
    refused(core.get_differences(&context(), bad).await, ErrorCode::InvalidContinuationToken);
    let nowhere = GetDifferencesInput { after_path: Some("nothing".to_owned()), ..input };
    refused(core.get_differences(&context(), nowhere).await, ErrorCode::PathDoesNotExist);
    core.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_made_and_deleted() {
    let place = Place::new();
    let core = place.serve();
    create(&core, "demo").await;
    let first = put(&core, "a", "1", None).await.unwrap();
    let new = |branch: &str, commit: &str| CreateBranchInput {
        repository_name: "demo".to_owned(),
        branch_name: branch.to_owned(),
        commit_id: commit.to_owned(),
    };
    core.create_branch(&context(), new("feature/x", &first)).await.unwrap();
    for (input, code) in [
        (new("feature/x", &first), ErrorCode::BranchNameExists),
        (new("-x", &first), ErrorCode::InvalidBranchName),
        (new("y", "main"), ErrorCode::InvalidCommitId),
        (new("y", &"a".repeat(40)), ErrorCode::CommitDoesNotExist),
    ] {
        refused(core.create_branch(&context(), input).await, code);
    }
    assert_eq!(branches(&core).await, ["feature/x", "main"]);
    refused(tip(&core, "nothing").await, ErrorCode::BranchDoesNotExist);
    let delete =
        |branch: &str| DeleteBranchInput { repository_name: "demo".to_owned(), branch_name: branch.to_owned() };
    refused(core.delete_branch(&context(), delete("main")).await, ErrorCode::DefaultBranchCannotBeDeleted);
    let default = |branch: &str| UpdateDefaultBranchInput {
        repository_name: "demo".to_owned(),
        default_branch_name: branch.to_owned(),
    };
    refused(core.update_default_branch(&context(), default("nothing")).await, ErrorCode::BranchDoesNotExist);
    core.update_default_branch(&context(), default("feature/x")).await.unwrap();
    let gone = core.delete_branch(&context(), delete("main")).await.unwrap().deleted_branch.unwrap();
    assert_eq!(gone.commit_id, Some(first.clone()));
    assert_eq!(core.delete_branch(&context(), delete("main")).await.unwrap().deleted_branch, None);
    assert_eq!(content(&core, "a", None).await.unwrap(), "1", "of the new default branch");
    let ids = vec![first.clone(), first.get(..10).unwrap().to_owned(), "a".repeat(40), "main".to_owned()];
    let input = BatchGetCommitsInput { repository_name: "demo".to_owned(), commit_ids: ids };
    let batch = core.batch_get_commits(&context(), input).await.unwrap();
    assert_eq!(batch.commits.unwrap().len(), 2);
    let codes: Vec<_> = batch.errors.unwrap().into_iter().map(|error| error.error_code.unwrap()).collect();
    assert_eq!(codes, ["CommitIdDoesNotExistException", "InvalidCommitIdException"]);
    core.stop();
}
