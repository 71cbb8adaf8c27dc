package configs

// Warnings is what works, and gives something up: each says what, and what would be better. They
// are for a configuration without problems.
func (c *Config) Warnings() []Problem { return nil }
