package configs

import "time"

// OTP is the section about codes.
type OTP struct {
	Issuer     string
	Period     time.Duration
	Digits     int
	Algorithm  string
	Window     int
	MaxDrift   int
	MaxDevices int
}

func readOTP(o *object) OTP {
	c := OTP{
		Issuer:     o.text("issuer", "otpgate"),
		Period:     o.duration("period", time.Minute, 15*time.Second, 10*time.Minute),
		Digits:     o.number("digits", 6, 6, 8),
		Algorithm:  o.choice("algorithm", "SHA1", "SHA256", "SHA512"),
		Window:     o.number("window", 1, 0, 5),
		MaxDrift:   o.number("max_drift", 2, 0, 10),
		MaxDevices: o.number("max_devices", 5, 1, 100),
	}
	if c.Period%time.Second != 0 {
		o.bad("period", "whole seconds: 60s", "%s is not whole seconds", c.Period)
	}
	if c.Issuer == "" {
		o.bad("issuer", "what the authenticator app shows beside the account", "it is empty")
	}
	o.done()
	return c
}
