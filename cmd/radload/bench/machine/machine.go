package machine

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Machine is what was measured on, and what.
type Machine struct {
	Processor  string `json:"processor"`
	Cores      int    `json:"cores"`
	Memory     string `json:"memory"`
	System     string `json:"system"`
	Disk       string `json:"disk"`
	Otpgate    string `json:"otpgate"`
	Go         string `json:"go"`
	FreeRADIUS string `json:"freeradius"`
	Slapd      string `json:"slapd"`
	Redis      string `json:"redis"`
}

// Lines are what a reader has to know.
func (m *Machine) Lines() []string {
	return []string{
		fmt.Sprintf("%s, %d cores, %s; %s", m.Processor, m.Cores, m.Memory, m.System),
		"disk: " + m.Disk,
		fmt.Sprintf("otpgate %s (%s)", m.Otpgate, m.Go),
		fmt.Sprintf("FreeRADIUS %s, slapd %s, Redis %s", m.FreeRADIUS, m.Slapd, m.Redis),
	}
}

// Describe looks at the machine, and at what is measured: an otpgate, which keeps what it has to in a folder.
func Describe(ctx context.Context, otpgate, dir string, now func() time.Time) Machine {
	m := Machine{
		Processor: fieldOf("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: gibibytes(fieldOf("/proc/meminfo", "MemTotal")),
		Disk:       disk(dir, now),
		FreeRADIUS: versionIn(ctx, "freeradius", "-v"), Slapd: versionIn(ctx, "slapd", "-VV"), Redis: versionIn(ctx, "redis-server", "--version"),
	}
	m.System = firstLine(ctx, "uname", "-sr")
	if name := fieldOf("/etc/os-release", "PRETTY_NAME"); name != "" {
		m.System = strings.Trim(name, `"`) + ", " + m.System
	}
	m.Otpgate, m.Go = build(ctx, otpgate)
	return m
}

// build is the commit and the version of Go that a program was made from. Where the program does not say, it is taken for
// made of the folder that it is in.
func build(ctx context.Context, program string) (revision, version string) {
	revision, version = "of an unknown commit", runtime.Version()
	settings := map[string]string{}
	if info, err := buildinfo.ReadFile(program); err == nil {
		version = info.GoVersion
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	changed := settings["vcs.modified"] == "true"
	commit := settings["vcs.revision"]
	if commit == "" {
		git := func(args ...string) string {
			out, err := exec.CommandContext(ctx, "git", append([]string{"-C", filepath.Dir(program)}, args...)...).Output()
			if err != nil {
				return "" // no folder of git's, or no git
			}
			return strings.TrimSpace(string(out))
		}
		commit, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no") != ""
	}
	if commit != "" {
		revision = commit[:min(12, len(commit))]
	}
	if changed {
		revision += " with changes"
	}
	return revision, version
}

// fieldOf is what stands behind a name in a file of names and values; nothing where there is no such file.
func fieldOf(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, "\t :="))
		}
	}
	return ""
}

func gibibytes(text string) string {
	var kib float64
	if _, err := fmt.Sscanf(text, "%f kB", &kib); err != nil {
		return "memory unknown"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

func firstLine(ctx context.Context, command ...string) string {
	out, _ := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput() // slapd says it and fails
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return strings.Join(strings.Fields(first), " ")
}

// versionIn is the version in what a program says of itself.
func versionIn(ctx context.Context, command ...string) string {
	return cmp.Or(regexp.MustCompile(`\d+\.\d+\.\d+[^ ,:)]*`).FindString(firstLine(ctx, command...)), "unknown")
}

// disk is the file system of a folder, and how long it takes to have 4 KiB on it for sure.
func disk(dir string, now func() time.Time) string {
	var s syscall.Statfs_t
	kind := "a file system without a name"
	if err := syscall.Statfs(dir, &s); err == nil {
		names := map[int64]string{0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x794c7630: "overlay", 0x2fc12fc1: "zfs"}
		kind = cmp.Or(names[int64(s.Type)], fmt.Sprintf("file system %x", s.Type))
	}
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return kind
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	var all []time.Duration
	block := make([]byte, 4096)
	for range 200 {
		began := now()
		if _, err := f.Write(block); err != nil {
			return kind
		}
		if err := f.Sync(); err != nil {
			return kind
		}
		all = append(all, now().Sub(began))
	}
	slices.Sort(all)
	return fmt.Sprintf("%s, fsync of 4 KiB in %.2f ms (median)", kind, float64(all[len(all)/2])/1e6)
}
