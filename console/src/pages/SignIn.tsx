import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { callError } from "../api/client";
import { pasted, type Session } from "../session";
import { TEXT } from "../text";

/** Who the keys are of; refuses keys that are none. */
export async function whoIs(session: Session): Promise<string> {
  const { region, accessKeyId, secretAccessKey, sessionToken } = session;
  const credentials = { accessKeyId, secretAccessKey, sessionToken };
  const client = new STSClient({ endpoint: location.origin, region, credentials, maxAttempts: 2 });
  const who = await client.send(new GetCallerIdentityCommand({}));
  return who.Arn ?? "";
}

export interface SignInProps {
  onSession: (session: Session) => void;
  notice?: { header: string; text: string };
}

export function SignIn({ onSession, notice }: SignInProps) {
  const [text, setText] = useState("");
  const [keys, setKeys] = useState({ accessKeyId: "", secretAccessKey: "", sessionToken: "", region: "us-east-1" });
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);

  const submit = async () => {
    const accessKeyId = keys.accessKeyId.trim();
    const secretAccessKey = keys.secretAccessKey.trim();
    if (accessKeyId === "" || secretAccessKey === "") return setError(TEXT.signIn.missing);
    const session: Session = { accessKeyId, secretAccessKey, region: keys.region.trim() };
    if (keys.sessionToken.trim() !== "") session.sessionToken = keys.sessionToken.trim();
    setBusy(true);
    setError(undefined);
    try {
      await whoIs(session);
      onSession(session);
    } catch (thrown) {
      setError(callError(thrown)?.message);
      setBusy(false);
    }
  };

  return (
    <main className="sign-in">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Form
          errorText={error}
          actions={
            <Button variant="primary" formAction="submit" loading={isBusy}>
              {TEXT.signIn.go}
            </Button>
          }
        >
          <SpaceBetween size="l">
            {notice && (
              <Alert type="info" header={notice.header}>
                {notice.text}
              </Alert>
            )}
            <Container
              header={
                <Header variant="h1" description={TEXT.signIn.lead}>
                  {TEXT.signIn.title}
                </Header>
              }
            >
              <SpaceBetween size="m">
                <Box>
                  {TEXT.signIn.hint} <Box variant="code">{TEXT.signIn.command}</Box>
                </Box>
                <ExpandableSection headerText={TEXT.signIn.paste} defaultExpanded>
                  <FormField description={TEXT.signIn.pasteHint} stretch>
                    <Textarea
                      value={text}
                      rows={4}
                      spellcheck={false}
                      autoComplete={false}
                      ariaLabel={TEXT.signIn.paste}
                      onChange={({ detail }) => {
                        setError(undefined);
                        const found = pasted(detail.value);
                        setKeys({ ...keys, ...found });
                        // What was understood is in the fields, where the secret is not to be seen.
                        setText(found.secretAccessKey === undefined ? detail.value : "");
                      }}
                    />
                  </FormField>
                </ExpandableSection>
                <FormField label={TEXT.signIn.id} stretch>
                  <Input
                    value={keys.accessKeyId}
                    spellcheck={false}
                    autoComplete="username"
                    onChange={({ detail }) => setKeys({ ...keys, accessKeyId: detail.value })}
                  />
                </FormField>
                <FormField label={TEXT.signIn.secret} stretch>
                  <Input
                    type="password"
                    value={keys.secretAccessKey}
                    autoComplete={false}
                    onChange={({ detail }) => setKeys({ ...keys, secretAccessKey: detail.value })}
                  />
                </FormField>
                <FormField label={TEXT.signIn.token} description={TEXT.signIn.tokenHint} stretch>
                  <Input
                    type="password"
                    value={keys.sessionToken}
                    autoComplete={false}
                    onChange={({ detail }) => setKeys({ ...keys, sessionToken: detail.value })}
                  />
                </FormField>
                <FormField label={TEXT.signIn.region} stretch>
                  <Input value={keys.region} onChange={({ detail }) => setKeys({ ...keys, region: detail.value })} />
                </FormField>
              </SpaceBetween>
            </Container>
          </SpaceBetween>
        </Form>
      </form>
    </main>
  );
}
