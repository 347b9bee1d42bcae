import Box from "@cloudscape-design/components/box";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tabs from "@cloudscape-design/components/tabs";
import { TEXT } from "../text";
import type { Draft } from "./draft";
import { awsCli, json, terraform, type Visible } from "./export";

export interface ExportsProps {
  draft: Draft;
  command: "create-project" | "update-project";
  /** Of a project that is there. */
  visible?: Visible;
}

/** A project as a command, as a resource and as JSON, to copy. */
export function Exports({ draft, command, visible }: ExportsProps) {
  const texts = [
    { id: "json", label: TEXT.form.exports.json, hint: TEXT.form.exports.jsonHint, text: json(draft) },
    {
      id: "cli",
      label: TEXT.form.exports.cli,
      hint: TEXT.form.exports.cliHint,
      text: awsCli(draft, location.origin, command),
    },
    {
      id: "terraform",
      label: TEXT.form.exports.terraform,
      hint: TEXT.form.exports.terraformHint,
      text: terraform(draft, visible),
    },
  ];
  return (
    <Tabs
      i18nStrings={{ scrollLeftAriaLabel: TEXT.build.tabsLeft, scrollRightAriaLabel: TEXT.build.tabsRight }}
      tabs={texts.map(({ id, label, hint, text }) => ({
        id,
        label,
        content: (
          <SpaceBetween size="s">
            <Box color="text-body-secondary">{hint}</Box>
            <CopyToClipboard
              copyButtonText={TEXT.copy}
              textToCopy={text}
              copySuccessText={TEXT.copied}
              copyErrorText={TEXT.copyFailed}
            />
            <pre className="code" data-export={id}>
              {text}
            </pre>
          </SpaceBetween>
        ),
      }))}
    />
  );
}
