package configs

import (
	"embed"
	"strings"
)

// Example is every key with its default and what it is for.
//
//go:embed otpgate.example.yaml
var Example []byte

// Quickstart is a small configuration for the first gateway.
//
//go:embed quickstart.yaml
var Quickstart []byte

// Unit is the systemd unit.
//
//go:embed otpgate.service
var Unit []byte

// DemoPeople is the directory of the demonstration, and one to start from for a lab.
//
//go:embed demo.ldif
var DemoPeople []byte

//go:embed gateways/*.md
var gateways embed.FS

// Gateways returns the names of the gateways that there is a page for, sorted: the profiles, and
// radius-proxy.
func Gateways() []string {
	entries, _ := gateways.ReadDir("gateways") // it is in the program
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".md"); name != "README" {
			names = append(names, name)
		}
	}
	return names
}

// Gateway returns the page about a gateway, in Markdown, and the first configuration in it: an item
// for radius.clients. ok is false when there is no page.
func Gateway(name string) (page, client string, ok bool) {
	text, err := gateways.ReadFile("gateways/" + name + ".md")
	if err != nil || name == "README" {
		return "", "", false
	}
	_, client, _ = strings.Cut(string(text), "```yaml\n- ")
	client, _, _ = strings.Cut("- "+client, "```")
	return string(text), client, true
}
