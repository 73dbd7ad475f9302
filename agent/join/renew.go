package join

import (
	"context"
	"fmt"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// RenewAPI is what renewing needs of the node API.
type RenewAPI interface {
	Renew(context.Context, protocol.RenewRequest) (*protocol.RenewResponse, error)
}

// Renew has the node's key certified again and keeps the answer, durably, before it is used. It
// needs no certificate that is still good, only the key: this is also the way back for a node that
// was off until everything had expired. A refusal (the node was deleted) is terminal, and what the
// node has stays as it is.
func (i *Identity) Renew(ctx context.Context, api RenewAPI) error {
	node, key, last := i.Node(), i.key(), i.Leaf()
	csr, err := Request(key, "node:"+node)
	if err != nil {
		return err
	}
	response, err := api.Renew(ctx, protocol.RenewRequest{Node: node, CSR: csr})
	if err != nil {
		return fmt.Errorf("renew the certificate of node %s: %w", node, err)
	}
	_, encoded, err := encodeKey(key)
	if err != nil {
		return err
	}
	pair, err := pairOf(response.Certificate, encoded)
	if err != nil {
		return fmt.Errorf("renew the certificate of node %s: the control plane's answer: %w", node, err)
	}
	if name := pair.Leaf.Subject.CommonName; name != last.Subject.CommonName {
		return fault.Terminalf("renew the certificate of node %s: the control plane's answer is for %q, expected %q", node, name, last.Subject.CommonName)
	}
	return i.change(func(j *joined) { j.Response.Certificate = response.Certificate })
}
