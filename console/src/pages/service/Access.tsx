import Tabs from "@cloudscape-design/components/tabs";
import { type AccessPart, navigate, paths } from "../../router";
import { TEXT } from "../../text";
import { Policies } from "./access/Policies";
import { PrincipalPage } from "./access/Principal";
import { Roles } from "./access/Roles";
import { Simulator } from "./access/Simulator";
import { Users } from "./access/Users";

/** Who may do what: users, roles, policies, and what they come to. */
export default function Access({ part, name }: { part: AccessPart; name?: string }) {
  if (name !== undefined && (part === "users" || part === "roles")) {
    return <PrincipalPage key={`${part} ${name}`} kind={part === "users" ? "User" : "Role"} name={name} />;
  }
  return (
    <Tabs
      activeTabId={part}
      onChange={({ detail }) => navigate(paths.access(detail.activeTabId as AccessPart))}
      i18nStrings={{ scrollLeftAriaLabel: TEXT.build.tabsLeft, scrollRightAriaLabel: TEXT.build.tabsRight }}
      tabs={[
        { id: "users", label: TEXT.access.users, content: <Users /> },
        { id: "roles", label: TEXT.access.roles, content: <Roles /> },
        { id: "policies", label: TEXT.access.policies, content: <Policies /> },
        { id: "simulator", label: TEXT.access.simulator, content: <Simulator principal={name} /> },
      ]}
    />
  );
}
