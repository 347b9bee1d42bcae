import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import { EditorState, type Text } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef, useState } from "react";
import { type CallError, callError } from "../api/client";
import type { Linted, LintRemark } from "../api/kiln";
import { useSigned } from "../hooks";
import { Problem } from "../parts/Problem";
import { TEXT } from "../text";
import { BEGINNING } from "./draft";
import "./buildspec.css";

/** Whether CodeBuild takes it for a buildspec, and not for the place of one: several lines, or JSON. */
export function isInline(buildspec: string): boolean {
  const text = buildspec.trim();
  return text.includes("\n") || text.startsWith("{");
}

export interface BuildspecProps {
  value: string;
  hint?: string;
  onChange: (value: string) => void;
}

/** A buildspec in the source, or one that is written here. */
export default function Buildspec({ value, hint, onChange }: BuildspecProps) {
  const [isHere, setHere] = useState(isInline(value));
  return (
    <SpaceBetween size="m">
      <RadioGroup
        value={isHere ? "here" : "source"}
        ariaLabel={TEXT.project.buildspec}
        items={[
          { value: "source", label: TEXT.form.buildspec.inSource, description: TEXT.form.buildspec.inSourceHint },
          { value: "here", label: TEXT.form.buildspec.here, description: hint },
        ]}
        onChange={({ detail }) => {
          setHere(detail.value === "here");
          onChange(detail.value === "here" ? BEGINNING : "");
        }}
      />
      {isHere ? (
        <Editor value={value} onChange={onChange} />
      ) : (
        <FormField label={TEXT.form.buildspec.path} description={TEXT.form.buildspec.pathHint} stretch>
          <Input
            value={value}
            spellcheck={false}
            placeholder="buildspec.yml"
            onChange={({ detail }) => onChange(detail.value)}
          />
        </FormField>
      )}
    </SpaceBetween>
  );
}

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-text)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.keyword, tags.atom, tags.number, tags.bool], color: "var(--code-word)" },
]);

const LOOK = EditorView.theme({
  "&": { height: "420px", fontSize: "13px", color: "inherit", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace" },
  ".cm-content": { caretColor: "currentColor" },
  ".cm-cursor": { borderLeftColor: "currentColor" },
  ".cm-gutters": {
    backgroundColor: "transparent",
    color: "var(--code-comment)",
    borderRight: "1px solid var(--code-line)",
  },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--code-selection) !important",
  },
  ".cm-tooltip": { backgroundColor: "var(--code-tip)", color: "inherit", border: "1px solid var(--code-line)" },
});

const SEVERITIES = { ERROR: "error", WARNING: "warning", HINT: "info" } as const;

/** Where a remark's line and column, both from 1, are in a text; columns count characters, not their halves. */
export function place(text: Text, line: number, column: number): number {
  if (line > text.lines) return text.length;
  const found = text.line(Math.max(1, line));
  const before = Array.from(found.text)
    .slice(0, Math.max(0, column - 1))
    .join("");
  return found.from + before.length;
}

function diagnostics(text: Text, remarks: readonly LintRemark[]): Diagnostic[] {
  return remarks.map((remark) => {
    const from = place(text, remark.line, remark.column);
    const to = remark.endLine === undefined ? from : place(text, remark.endLine, remark.endColumn ?? 1);
    const message = remark.hint === undefined ? remark.message : `${remark.message}\n${remark.hint}`;
    return { from, to: Math.max(from, to), severity: SEVERITIES[remark.severity], message };
  });
}

function Editor({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { api } = useSigned();
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const [linted, setLinted] = useState<Linted>();
  const [error, setError] = useState<CallError>();
  const latest = useRef({ onChange, value });
  latest.current = { onChange, value };

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    // In a document of its own the editor's styles are sheets that scripts make. Elsewhere they are elements, which the
    // content security policy refuses.
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const lint = async (editor: EditorView): Promise<Diagnostic[]> => {
      const { doc } = editor.state;
      try {
        const answer = await api.kiln<Linted>("LintBuildspec", { buildspec: doc.toString() });
        setLinted(answer);
        setError(undefined);
        return editor.state.doc === doc ? diagnostics(doc, answer.remarks) : [];
      } catch (thrown) {
        setError(callError(thrown));
        setLinted(undefined);
        return [];
      }
    };
    const editor = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          // The tabulator leaves the editor, as it leaves every other field.
          keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          yaml(),
          syntaxHighlighting(COLOURS),
          LOOK,
          EditorView.contentAttributes.of({
            "aria-label": TEXT.project.buildspec,
            "aria-multiline": "true",
            tabindex: "0",
          }),
          linter(lint, { delay: 400 }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [api]);

  const show = (remark: LintRemark) => {
    const editor = view.current;
    if (!editor) return;
    const at = place(editor.state.doc, remark.line, remark.column);
    editor.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    editor.focus();
  };

  return (
    <SpaceBetween size="s">
      <div className="buildspec-editor" ref={host} />
      {error && <Problem error={error} />}
      <output className="buildspec-remarks">
        {linted && linted.remarks.length === 0 && (
          <StatusIndicator type="success">{TEXT.form.buildspec.clean}</StatusIndicator>
        )}
        {linted?.remarks.map((remark) => (
          <Remark key={`${remark.line}:${remark.column} ${remark.code}`} remark={remark} onShow={() => show(remark)} />
        ))}
      </output>
    </SpaceBetween>
  );
}

const TYPES: Record<LintRemark["severity"], StatusIndicatorProps.Type> = {
  ERROR: "error",
  WARNING: "warning",
  HINT: "info",
};

function Remark({ remark, onShow }: { remark: LintRemark; onShow: () => void }) {
  return (
    <div>
      <StatusIndicator type={TYPES[remark.severity]}>
        <Button variant="inline-link" onClick={onShow}>
          {TEXT.form.buildspec.at(remark.line, remark.column)}
        </Button>{" "}
        {remark.message}
      </StatusIndicator>
      {remark.hint !== undefined && (
        <Box variant="small" padding={{ left: "l" }}>
          {remark.hint}
        </Box>
      )}
    </div>
  );
}
