package configs

import _ "embed"

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
