package browsertest

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// axeSum is which axe-core it is, as sha256sum has it: .ci/axe fetches that one into the cache.
//
//go:embed axe.sum
var axeSum string

// axe returns axe-core's script.
func axe() (string, error) {
	want, name, _ := strings.Cut(strings.TrimSpace(axeSum), "  ")
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("axe-core: %w", err)
	}
	script, err := os.ReadFile(filepath.Join(cache, "otpgate", name))
	if err != nil {
		return "", fmt.Errorf("axe-core (npm package) is missing: make peers: %w", err)
	}
	if sum := sha256.Sum256(script); hex.EncodeToString(sum[:]) != want {
		return "", errors.New("axe-core is not the one of axe.sum: make peers")
	}
	return string(script), nil
}

// violations has axe-core apply every rule of WCAG 2.2 AA and its own good practices to the page as it is,
// when nothing moves any more, and returns what it finds.
const violations = `(async () => {
  const finite = document.getAnimations().filter((a) => a.effect.getComputedTiming().endTime < Infinity);
  await Promise.all(finite.map((a) => a.finished.catch(() => {})));
  const found = await axe.run(document, {
    resultTypes: ["violations"], preload: false,
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  });
  return found.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary));
})()`

// Accessible reports what axe-core finds wrong with what is on the page.
func (b *Browser) Accessible() error {
	var there bool
	if err := b.Run("'axe' in globalThis", &there); err != nil {
		return err
	}
	if !there {
		script, err := axe()
		if err != nil {
			return err
		}
		if err := b.Run(script+"\n;true", nil); err != nil {
			return fmt.Errorf("axe-core: %w", err)
		}
	}
	var found []string
	if err := b.Run(violations, &found); err != nil {
		return fmt.Errorf("axe-core: %w", err)
	}
	if len(found) > 0 {
		return fmt.Errorf("not for everybody:\n%s\n%s", strings.Join(found, "\n"), b.Describe())
	}
	return nil
}
