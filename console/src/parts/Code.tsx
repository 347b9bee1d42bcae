import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import { TEXT } from "../text";
import "./code.css";

/** Text that people copy: a command, a document. */
export function Code({ text, name }: { text: string; name: string }) {
  return (
    <div className="code-box">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section tabIndex={0} aria-label={name}>
        <pre className="code">{text}</pre>
      </section>
      <CopyToClipboard
        variant="icon"
        copyButtonAriaLabel={TEXT.copyOf(name)}
        textToCopy={text}
        copySuccessText={TEXT.copied}
        copyErrorText={TEXT.copyFailed}
      />
    </div>
  );
}
