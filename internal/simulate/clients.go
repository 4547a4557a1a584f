package simulate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// Share is a part of the clients that comes back by the same layer.
type Share struct {
	Layer reconnect.Layer
	// Weight is the part of the clients relative to the weights of the other shares.
	Weight float64
}

// maxLayers is the maximum number of layers in one scenario.
const maxLayers = 32

// ParseLayer reads a layer as reconnect.Parse does. It returns an *Error for texts that it cannot read.
func ParseLayer(text string) (reconnect.Layer, error) {
	layer, err := reconnect.Parse(text)
	if err != nil {
		return layer, &Error{Field: "layer", Problem: err.Error()}
	}
	return layer, nil
}

// ParseClients reads shares of layers like centrifuge or centrifuge=70,stompjs=30. extra are layers besides those that
// have a name already. It returns an *Error for other texts.
func ParseClients(text string, extra []reconnect.Layer) ([]Share, error) {
	bad := func(format string, args ...any) error {
		return &Error{Field: "clients", Problem: fmt.Sprintf(format, args...)}
	}
	var shares []Share
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, weight, weighted := strings.Cut(part, "=")
		share := Share{Weight: 1}
		var err error
		if weighted {
			if share.Weight, err = strconv.ParseFloat(weight, 64); err != nil || !(share.Weight > 0) {
				return nil, bad("%q is no share: give a number above 0, like %s=30", weight, name)
			}
		}
		if share.Layer, err = reconnect.Find(name, extra); err != nil {
			return nil, bad("%v", err)
		}
		if seen[name] {
			return nil, bad("%s is there twice: give each layer once", name)
		}
		seen[name] = true
		shares = append(shares, share)
	}
	return shares, nil
}
