package enroll

import (
	"context"

	"otpgate/enroll/mail"
)

// needs is what enrolling a device takes for an account at this moment, besides the code.
func (s *Server) needs(ctx context.Context, account string) (mail.Needs, error) {
	switch s.o.Policy {
	case Anyone:
		return mail.NeedsNothing, nil
	case Invited:
		return mail.NeedsInvitation, nil
	}
	devices, err := s.o.Devices.List(ctx, account)
	if err != nil || len(devices) > 0 {
		return mail.NeedsDevice, err
	}
	return mail.NeedsNothing, nil
}
