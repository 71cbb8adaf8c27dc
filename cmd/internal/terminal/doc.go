// Package terminal knows what somebody who looks at the output can see, and of what is typed.
package terminal
