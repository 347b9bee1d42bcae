import Modal from "@cloudscape-design/components/modal";
import Spinner from "@cloudscape-design/components/spinner";
import { useEffect, useState } from "react";
import { type CallError, callError } from "../../../api/client";
import { Code } from "../../../parts/Code";
import { Problem } from "../../../parts/Problem";
import { TEXT } from "../../../text";

/** A policy, to read. */
export function Document({
  title,
  read,
  onDismiss,
}: {
  title: string;
  read: () => Promise<string>;
  onDismiss: () => void;
}) {
  const [text, setText] = useState<string>();
  const [error, setError] = useState<CallError>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is read once, whatever else is drawn anew
  useEffect(() => {
    read().then(setText, (thrown: unknown) => setError(callError(thrown)));
  }, [title]);
  return (
    <Modal visible size="large" header={title} closeAriaLabel={TEXT.close} onDismiss={onDismiss}>
      {error && <Problem error={error} />}
      {text !== undefined && <Code name={title} text={text} />}
      {text === undefined && !error && <Spinner />}
    </Modal>
  );
}
