package main

import (
	"context"
	"fmt"

	"github.com/centrifugal/centrifuge-go"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/e2e/event"
)

// follow keeps one subscription with recovery until ctx ends, as an application with the SDK does. The SDK reconnects
// and recovers by itself.
func follow(ctx context.Context, log *event.Log, id int, address, channel string, opened func()) {
	client := centrifuge.NewJsonClient("ws://"+address+contract.PathCentrifuge, centrifuge.Config{})
	defer client.Close()
	client.OnConnecting(func(e centrifuge.ConnectingEvent) {
		if e.Code > 0 {
			log.Add(event.Event{Kind: event.Closed, Client: id, Code: int(e.Code), Reason: e.Reason})
		}
	})
	client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		if ctx.Err() == nil {
			log.Add(event.Event{Kind: event.Failed, Client: id, Code: int(e.Code), Reason: e.Reason})
		}
	})
	subscription, err := client.NewSubscription(channel)
	if err != nil {
		log.Add(event.Event{Kind: event.Failed, Client: id, Reason: err.Error()})
		return
	}
	subscription.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		if e.WasRecovering && !e.Recovered {
			log.Add(event.Event{Kind: event.Failed, Client: id, Reason: fmt.Sprintf("not recovered, at %v", e.StreamPosition)})
		}
		log.Add(event.Event{Kind: event.Opened, Client: id})
		opened()
	})
	subscription.OnPublication(func(e centrifuge.PublicationEvent) {
		log.Add(event.Event{Kind: event.Message, Client: id, Reason: string(e.Data)})
	})
	for _, begin := range []func() error{subscription.Subscribe, client.Connect} {
		if err := begin(); err != nil {
			log.Add(event.Event{Kind: event.Failed, Client: id, Reason: err.Error()})
		}
	}
	<-ctx.Done()
}
