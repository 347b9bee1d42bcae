import { describe, expect, it } from "vitest";
import { ago, bytes, duration } from "./format";
import { linesOf, paths, route } from "./router";
import { linkOf, pasted } from "./session";

describe("addresses", () => {
  it("name pages, and pages have them", () => {
    expect(route("/-/", "")).toEqual({ page: "projects" });
    expect(route("/-/projects", "")).toEqual({ page: "projects" });
    expect(route(paths.project("a b/<c>"), "")).toEqual({ page: "project", name: "a b/<c>" });
    const [path = "", search = ""] = paths.build("demo:1-2", { first: 3, last: 9 }).split("?");
    expect(route(path, search)).toEqual({ page: "build", id: "demo:1-2", lines: { first: 3, last: 9 } });
    expect(route("/-/queue", "")).toEqual({ page: "queue" });
    for (const path of ["/-/other", "/-/projects/a/b", "/-/builds", "/-/queue/1"]) {
      expect(route(path, "").page, path).toBe("nothing");
    }
    expect(route("/-/projects/%zz", "")).toEqual({ page: "project", name: "%zz" });
  });

  it("name lines", () => {
    expect(linesOf("line=5")).toEqual({ first: 5, last: 5 });
    expect(linesOf("line=9-5")).toEqual({ first: 5, last: 9 });
    expect(linesOf("line=0")).toEqual({ first: 1, last: 1 });
    for (const text of ["", "line=", "line=-1", "line=x", "line=1e9", "line=1-2-3"])
      expect(linesOf(text)).toBeUndefined();
  });
});

describe("signing in", () => {
  it("takes a link out of the fragment", () => {
    expect(linkOf(`#link=${"A2".repeat(26)}`)).toBe("A2".repeat(26));
    for (const text of ["", "#", "#link=", "#link=short", `#link=${"A".repeat(30)}&x`, `#other=${"A".repeat(30)}`]) {
      expect(linkOf(text)).toBeUndefined();
    }
  });

  it("understands keys as people have them", () => {
    const keys = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "se/cr+et=" };
    expect(pasted("export AWS_ACCESS_KEY_ID=AKIAEXAMPLE\nexport AWS_SECRET_ACCESS_KEY=se/cr+et=\n")).toEqual(keys);
    expect(pasted("[kiln]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = se/cr+et=\n")).toEqual(keys);
    const json =
      '{"Credentials": {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "se/cr+et=", "SessionToken": "to/ken=="}}';
    expect(pasted(json)).toEqual({ ...keys, sessionToken: "to/ken==" });
    expect(pasted("export AWS_REGION='eu-west-1'\nexport AWS_SESSION_TOKEN='to/ken=='")).toEqual({
      region: "eu-west-1",
      sessionToken: "to/ken==",
    });
    expect(pasted("nothing of the kind")).toEqual({});
  });
});

describe("numbers", () => {
  it("are for people", () => {
    expect([0, 999, 1500, 59_900, 61_000, 3_700_000].map(duration)).toEqual([
      "0 ms",
      "999 ms",
      "1.5 s",
      "59 s",
      "1 min 1 s",
      "1 h 1 min",
    ]);
    expect([0, 1023, 1024, 1536, 4 * 1024 ** 3, 300 * 1024].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1 KiB",
      "1.5 KiB",
      "4 GiB",
      "300 KiB",
    ]);
    expect(ago(new Date(0), 90_000)).toBe("1 min ago");
    expect(ago(new Date(10_000), 0)).toBe("just now");
  });
});
