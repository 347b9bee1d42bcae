import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Modal from "@cloudscape-design/components/modal";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useEffect, useState } from "react";
import { bytes, count } from "../../format";
import { pieces } from "../../log/ansi";
import { save } from "../../parts/save";
import { content, type Entry, entries, MOST_ENTRIES } from "../../parts/zip";
import { TEXT } from "../../text";

/** Entries of a page. */
const PAGE = 20;
/** Bytes of a text that are shown, of an image, and of a file that is downloaded out of an archive. */
const TEXT_SHOWN = 256 * 1024;
const LINES_SHOWN = 5000;
const IMAGE_SHOWN = 32 * 1024 * 1024;
const FILE_SAVED = 1024 * 1024 * 1024;

/** What browsers show as an image, in which nothing runs. */
const IMAGES: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  svg: "image/svg+xml",
};

function ending(name: string): string {
  return /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

function message(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The files of an artifact. */
export default function Browse({ archive, name, onDismiss }: { archive: Blob; name: string; onDismiss: () => void }) {
  const [found, setFound] = useState<Entry[]>();
  const [error, setError] = useState<string>();
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(1);
  const [shown, setShown] = useState<Entry>();

  useEffect(() => {
    entries(archive).then(
      (all) => setFound(all.filter((entry) => !entry.name.endsWith("/"))),
      (thrown) => setError(TEXT.browse.broken(message(thrown))),
    );
  }, [archive]);

  const matching = (found ?? []).filter((entry) => entry.name.toLowerCase().includes(filter.toLowerCase()));
  const download = async (entry: Entry) => {
    try {
      const { bytes: data, isWhole } = await content(archive, entry, FILE_SAVED);
      if (isWhole) save(new Blob([data]), entry.name.split("/").pop() ?? "file");
      else setError(TEXT.browse.tooLarge);
    } catch (thrown) {
      setError(TEXT.browse.broken(message(thrown)));
    }
  };

  return (
    <Modal visible size="max" header={name} closeAriaLabel={TEXT.close} onDismiss={onDismiss}>
      <SpaceBetween size="m">
        {error !== undefined && <Alert type="error">{error}</Alert>}
        <Table<Entry>
          variant="embedded"
          trackBy="offset"
          wrapLines
          loading={!found && error === undefined}
          loadingText={TEXT.loading}
          items={matching.slice((page - 1) * PAGE, page * PAGE)}
          enableKeyboardNavigation
          header={
            <Header
              variant="h3"
              counter={found && `(${count(found.length)}${found.length >= MOST_ENTRIES ? "+" : ""})`}
            >
              {TEXT.results.files}
            </Header>
          }
          filter={
            <TextFilter
              filteringText={filter}
              filteringPlaceholder={TEXT.browse.filter}
              filteringAriaLabel={TEXT.browse.filter}
              countText={TEXT.project.matches(matching.length)}
              onChange={({ detail }) => {
                setFilter(detail.filteringText);
                setPage(1);
              }}
            />
          }
          pagination={
            matching.length > PAGE && (
              <Pagination
                currentPageIndex={page}
                pagesCount={Math.ceil(matching.length / PAGE)}
                onChange={({ detail }) => setPage(detail.currentPageIndex)}
              />
            )
          }
          empty={<Box textAlign="center">{TEXT.browse.none}</Box>}
          columnDefinitions={[
            {
              id: "name",
              header: TEXT.results.name,
              isRowHeader: true,
              minWidth: 160,
              cell: (entry) => (
                <Button variant="inline-link" onClick={() => setShown(entry)}>
                  <span className="break">{entry.name}</span>
                </Button>
              ),
            },
            { id: "size", header: TEXT.results.size, minWidth: 90, cell: ({ size }) => bytes(size) },
            {
              id: "download",
              header: TEXT.results.download,
              minWidth: 110,
              cell: (entry) => (
                <Button
                  variant="inline-icon"
                  iconName="download"
                  ariaLabel={TEXT.browse.download(entry.name)}
                  onClick={() => void download(entry)}
                />
              ),
            },
          ]}
        />
        {shown && <Preview key={shown.offset} archive={archive} entry={shown} />}
      </SpaceBetween>
    </Modal>
  );
}

type Shown = { image: string } | { lines: string[]; isWhole: boolean } | { error: string };

function Preview({ archive, entry }: { archive: Blob; entry: Entry }) {
  const [shown, setShown] = useState<Shown>();

  useEffect(() => {
    let url: string | undefined;
    let isGone = false;
    const type = IMAGES[ending(entry.name)];
    const look = async (): Promise<Shown> => {
      if (type !== undefined) {
        const { bytes: data, isWhole } = await content(archive, entry, IMAGE_SHOWN);
        if (!isWhole) return { error: TEXT.browse.tooLarge };
        if (isGone) return { error: "" };
        url = URL.createObjectURL(new Blob([data], { type }));
        return { image: url };
      }
      const { bytes: data, isWhole } = await content(archive, entry, TEXT_SHOWN);
      if (data.subarray(0, 8192).includes(0)) return { error: TEXT.browse.binary };
      const lines = new TextDecoder().decode(data).split("\n");
      return { lines: lines.slice(0, LINES_SHOWN), isWhole: isWhole && lines.length <= LINES_SHOWN };
    };
    look().then(
      (made) => !isGone && setShown(made),
      (thrown) => !isGone && setShown({ error: TEXT.browse.broken(message(thrown)) }),
    );
    return () => {
      isGone = true;
      if (url !== undefined) URL.revokeObjectURL(url);
    };
  }, [archive, entry]);

  return (
    <div>
      <Header variant="h3">
        <span className="break">{entry.name}</span>
      </Header>
      {!shown && <Spinner />}
      {shown && "error" in shown && <Box>{shown.error}</Box>}
      {shown && "image" in shown && <img className="preview-image" src={shown.image} alt={entry.name} />}
      {shown && "lines" in shown && (
        <>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
          <section className="preview" tabIndex={0} aria-label={entry.name}>
            <pre className="code">
              {shown.lines.map((line, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name, and never move
                <Line key={at} text={line} />
              ))}
            </pre>
          </section>
          {!shown.isWhole && (
            <Box variant="small" display="block">
              {TEXT.browse.part}
            </Box>
          )}
        </>
      )}
    </div>
  );
}

/** A line as the log has them: what it would do to a terminal, or hide, is not done. */
function Line({ text }: { text: string }) {
  return (
    <>
      {pieces(text).map((piece, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a line have no other name, and never move
        <span key={at} className={piece.named ? "log-named" : undefined}>
          {piece.text}
        </span>
      ))}
      {"\n"}
    </>
  );
}
