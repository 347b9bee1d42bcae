// Command junit turns `go test -json` on its input into a JUnit XML report, and repeats the output of the tests.
// It ends with status 1 if a test failed.
package main

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

type failure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type testCase struct {
	Class   string    `xml:"classname,attr"`
	Name    string    `xml:"name,attr"`
	Time    float64   `xml:"time,attr"`
	Failure *failure  `xml:"failure,omitempty"`
	Skipped *struct{} `xml:"skipped,omitempty"`
}

type suite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Time     float64    `xml:"time,attr"`
	Cases    []testCase `xml:"testcase"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json ./... | junit REPORT")
		os.Exit(2)
	}
	failed, err := run(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "junit:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(report string) (failed bool, err error) {
	result := suite{Name: "go test"}
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// What the compiler says of a package that does not build is no JSON.
			fmt.Println(lines.Text())
			failed = true
			continue
		}
		id := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			fmt.Print(e.Output)
			if output[id] == nil {
				output[id] = &strings.Builder{}
			}
			output[id].WriteString(e.Output)
		case "pass", "fail", "skip":
			failed = failed || e.Action == "fail"
			if e.Test == "" {
				result.Time += e.Elapsed
				continue
			}
			c := testCase{Class: e.Package, Name: e.Test, Time: e.Elapsed}
			switch e.Action {
			case "fail":
				text := ""
				if output[id] != nil {
					text = output[id].String()
				}
				c.Failure = &failure{Message: "failed", Text: text}
				result.Failures++
			case "skip":
				c.Skipped = &struct{}{}
				result.Skipped++
			}
			result.Tests++
			result.Cases = append(result.Cases, c)
		}
	}
	if err := lines.Err(); err != nil {
		return failed, err
	}
	text, err := xml.MarshalIndent(result, "", "  ")
	if err != nil {
		return failed, err
	}
	return failed, os.WriteFile(report, append([]byte(xml.Header), append(text, '\n')...), 0o644)
}
