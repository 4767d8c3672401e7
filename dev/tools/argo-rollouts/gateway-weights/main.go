// Command gateway-weights is a traffic-router plugin of Argo Rollouts for tests: it writes the weight of a canary into HTTPRoutes.
//
// It has the name, the configuration and the behavior of the plugin argoproj-labs/gatewayAPI, as far as the operator uses them: it sets the
// weights of the two backends of each rule that has both. Clusters of users install that plugin itself.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/rollout/trafficrouting/plugin/rpc"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

const name = "argoproj-labs/gatewayAPI"

var routes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}

// settings is the part of a Rollout that configures the plugin.
type settings struct {
	Namespace  string `json:"namespace"`
	HTTPRoutes []struct {
		Name string `json:"name"`
	} `json:"httpRoutes"`
}

// weights implements the plugin.
type weights struct {
	client dynamic.Interface
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
			MagicCookieValue: "trafficrouter",
		},
		Plugins: map[string]plugin.Plugin{"RpcTrafficRouterPlugin": &rpc.RpcTrafficRouterPlugin{Impl: &weights{}}},
	})
}

func (w *weights) InitPlugin() types.RpcError {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return failed(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return failed(err)
	}
	w.client = client
	return types.RpcError{}
}

func (w *weights) SetWeight(rollout *v1alpha1.Rollout, weight int32, _ []v1alpha1.WeightDestination) types.RpcError {
	canary := rollout.Spec.Strategy.Canary
	var wanted settings
	if err := json.Unmarshal(canary.TrafficRouting.Plugins[name], &wanted); err != nil {
		return failed(err)
	}
	if wanted.Namespace == "" {
		wanted.Namespace = rollout.Namespace
	}
	shares := map[string]int64{canary.CanaryService: int64(weight), canary.StableService: 100 - int64(weight)}
	for _, each := range wanted.HTTPRoutes {
		if err := w.set(wanted.Namespace, each.Name, shares); err != nil {
			return failed(err)
		}
	}
	return types.RpcError{}
}

// set writes the weights of the backends of one HTTPRoute. A route without both backends is an error.
func (w *weights) set(namespace, name string, shares map[string]int64) error {
	client := w.client.Resource(routes).Namespace(namespace)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		route, err := client.Get(context.TODO(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		rules, _, err := unstructured.NestedSlice(route.Object, "spec", "rules")
		if err != nil {
			return err
		}
		found, changed := map[string]bool{}, false
		for _, rule := range rules {
			backends, _ := rule.(map[string]any)["backendRefs"].([]any)
			for _, each := range backends {
				backend := each.(map[string]any)
				service, _ := backend["name"].(string)
				if share, ours := shares[service]; ours {
					found[service] = true
					changed = changed || backend["weight"] != share
					backend["weight"] = share
				}
			}
		}
		if len(found) != len(shares) {
			return fmt.Errorf("backendRef was not found in HTTPRoute %s", name)
		}
		if !changed {
			return nil
		}
		if err := unstructured.SetNestedSlice(route.Object, rules, "spec", "rules"); err != nil {
			return err
		}
		_, err = client.Update(context.TODO(), route, metav1.UpdateOptions{FieldManager: "gatewayapi"})
		return err
	})
}

func (w *weights) UpdateHash(*v1alpha1.Rollout, string, string, []v1alpha1.WeightDestination) types.RpcError {
	return types.RpcError{}
}

func (w *weights) SetHeaderRoute(*v1alpha1.Rollout, *v1alpha1.SetHeaderRoute) types.RpcError {
	return types.RpcError{}
}

func (w *weights) SetMirrorRoute(*v1alpha1.Rollout, *v1alpha1.SetMirrorRoute) types.RpcError {
	return types.RpcError{}
}

func (w *weights) VerifyWeight(*v1alpha1.Rollout, int32, []v1alpha1.WeightDestination) (types.RpcVerified, types.RpcError) {
	return types.Verified, types.RpcError{}
}

func (w *weights) RemoveManagedRoutes(*v1alpha1.Rollout) types.RpcError {
	return types.RpcError{}
}

func (w *weights) Type() string {
	return "GatewayAPI"
}

func failed(err error) types.RpcError {
	return types.RpcError{ErrorString: err.Error()}
}
