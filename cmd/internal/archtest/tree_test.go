package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fileRules look at one file, treeRules at all.
func fileRules() map[string]func(source) []string {
	rules := map[string]func(source) []string{
		"layers hold":                   layersHold,
		"libraries are in their place":  librariesInPlace,
		"layeh is a codec only":         layehCodecOnly,
		"instruments are in metrics.go": instrumentsInTheirFile,
		"files are short":               filesAreShort,
		"functions are short":           functionsAreShort,
		"interfaces are small":          interfacesAreSmall,
		"names name a concept":          namesNameAConcept,
		"words are ours":                wordsAreOurs,
		"nothing happens on import":     nothingHappensOnImport,
		"no shared instruments":         noSharedInstruments,
		"tests always run":              testsAlwaysRun,
		"errors are not read":           errorsAreNotRead,
		"promises have a number":        promisesHaveANumber,
	}
	for _, r := range restricted() {
		rules[r.pkg+"."+r.name[0]] = r.holds
	}
	return rules
}

func treeRules() map[string]func([]source) []string {
	return map[string]func([]source) []string{
		"one package comment":     onePackageComment,
		"packages are small":      packagesAreSmall,
		"every layer is used":     everyLayerIsUsed,
		"every library is used":   everyLibraryIsUsed,
		"every exception is used": exceptionsAreNeeded,
	}
}

func TestTree(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	all, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(s source) bool { return s.path == "cmd/otpgate/main.go" }) {
		t.Fatalf("%d files read, and cmd/otpgate/main.go is not one of them", len(all))
	}
	for name, rule := range fileRules() {
		t.Run(name, func(t *testing.T) {
			for _, s := range all {
				report(t, rule(s))
			}
		})
	}
	for name, rule := range treeRules() {
		t.Run(name, func(t *testing.T) { report(t, rule(all)) })
	}
	read := func(t *testing.T, name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	t.Run("requirements have a row", func(t *testing.T) { report(t, requirementsHaveARow(read(t, "go.mod"))) })
	t.Run("the top level is known", func(t *testing.T) {
		entries, err := os.ReadDir(root)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		report(t, topLevelIsKnown(names, read(t, ".gitignore")))
	})
}

func report(t *testing.T, found []string) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}
