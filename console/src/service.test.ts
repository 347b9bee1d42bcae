import { describe, expect, it } from "vitest";
import { CallError, pages } from "./api/client";
import { document } from "./api/iam";
import { contextOf } from "./pages/service/access/context";
import { auditFilterOf, paths, route } from "./router";

describe("addresses of pages", () => {
  const at = (address: string) => {
    const [path = "", search = ""] = address.split("?", 2);
    return route(path, search);
  };

  it("name what they are about", () => {
    expect(at("/-/images")).toEqual({ page: "images" });
    expect(at(paths.images("team/app"))).toEqual({ page: "images", repository: "team/app" });
    expect(at("/-/access")).toEqual({ page: "access", part: "users" });
    expect(at(paths.access("roles", "a b/c"))).toEqual({ page: "access", part: "roles", name: "a b/c" });
    expect(at("/-/access/nothing")).toEqual({ page: "nothing" });
    expect(at("/-/access/users/a/b")).toEqual({ page: "nothing" });
    expect(at("/-/caches/x")).toEqual({ page: "nothing" });
    expect(at(paths.public("abc"))).toEqual({ page: "public", alias: "abc" });
    expect(at(paths.public("abc", "uuid", { first: 3, last: 9 }))).toEqual({
      page: "public",
      alias: "abc",
      build: "uuid",
      lines: { first: 3, last: 9 },
    });
    expect(at("/-/public")).toEqual({ page: "nothing" });
    expect(at("/-/public/abc/other/uuid")).toEqual({ page: "nothing" });
  });

  it("say which records are looked for", () => {
    const filter = { user: "a&b=c", operation: "StartBuild", kind: "refused", hours: 24 } as const;
    expect(at(paths.audit(filter))).toEqual({ page: "audit", filter });
    expect(paths.audit({})).toBe("/-/audit");
    expect(auditFilterOf("kind=other&hours=-1&user=")).toEqual({});
    expect(auditFilterOf("hours=NaN&service=ecr")).toEqual({ service: "ecr" });
  });
});

describe("lists", () => {
  it("are read page by page", async () => {
    const asked: (string | undefined)[] = [];
    const all = await pages(async (token) => {
      asked.push(token);
      const at = Number(token ?? 0);
      return { items: [at], next: at < 3 ? String(at + 1) : undefined };
    });
    expect(all).toEqual([0, 1, 2, 3]);
    expect(asked).toEqual([undefined, "1", "2", "3"]);
  });

  it("end, whatever a server answers", async () => {
    let calls = 0;
    const all = await pages(async () => {
      calls++;
      return { items: Array.from({ length: 500 }, () => 0), next: "again" };
    });
    expect([all.length, calls]).toEqual([2000, 4]);
    expect(await pages(async () => ({ items: undefined, next: "" }))).toEqual([]);
  });
});

describe("what is written down", () => {
  it("conditions are keys with one value or several", () => {
    expect(contextOf("aws:SourceIp=10.0.0.1 \n aws:TagKeys=a aws:TagKeys=b=c  nothing =x")).toEqual([
      { key: "aws:SourceIp", values: ["10.0.0.1"] },
      { key: "aws:TagKeys", values: ["a", "b=c"] },
    ]);
    expect(contextOf("")).toEqual([]);
  });

  it("documents are shown as they can be read", () => {
    expect(document("%7B%22a%22%3A1%7D")).toBe('{\n  "a": 1\n}');
    expect(document("%E0%A4%A")).toBe("%E0%A4%A");
    expect(document("not JSON")).toBe("not JSON");
    expect(document(undefined)).toBe("");
  });

  it("errors that stay are not asked for again", () => {
    expect(new CallError("UnknownOperationException", "").isLasting).toBe(true);
    expect(new CallError("ThrottlingException", "").isLasting).toBe(false);
  });
});
