{{- /* A parent chart also includes these templates, with the values of the service in `.Values`. They therefore use only their
context. */ -}}

{{- define "shop-service.name" -}}
{{- .Values.name | default (ternary .Release.Name .Chart.Name .Chart.IsRoot) -}}
{{- end -}}

{{- /* registry/repository:tag@digest */ -}}
{{- define "shop-service.image" -}}
{{- $shared := (.Values.global | default dict).image | default dict -}}
{{- $name := include "shop-service.name" . -}}
{{- with .Values.image -}}
{{- $registry := .registry | default $shared.registry -}}
{{- $tag := .tag | default $shared.tag -}}
{{- if not (or $tag .digest) -}}
{{- fail (printf "image.tag of %s is empty: set it, or image.digest, or global.image.tag; an image requires a tag or a digest" $name) -}}
{{- end -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- required (printf "image.repository of %s is empty: set the name of the image" $name) .repository -}}
{{- with $tag }}:{{ include "shop-service.text" (dict "value" . "of" (printf "image.tag of %s" $name)) }}{{ end -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* A string, or a boolean or integer as a string. YAML does not preserve the notation of other numbers. */ -}}
{{- define "shop-service.text" -}}
{{- $value := .value -}}
{{- if kindIs "float64" $value -}}
{{- if or (ne (floor $value) $value) (ge $value 9007199254740992.0) (le $value -9007199254740992.0) -}}
{{- fail (printf "%s is the number %v: quote it, because YAML does not preserve the notation of a number (1.10 becomes 1.1)" .of $value) -}}
{{- end -}}
{{- printf "%.0f" $value -}}
{{- else -}}
{{- printf "%v" $value -}}
{{- end -}}
{{- end -}}

{{- /* A map of labels or annotations as JSON, with every value as a string. */ -}}
{{- define "shop-service.texts" -}}
{{- $texts := dict -}}
{{- $of := .of -}}
{{- range $key, $value := .map -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $texts $key (include "shop-service.text" (dict "value" $value "of" (printf "%s %s" $of $key))) -}}
{{- end -}}
{{- end -}}
{{- toJson $texts -}}
{{- end -}}

{{- /* A map of name to string or {valueFrom}, as a list of the spec in a JSON object under `env`. The list is sorted by name, except
that a variable follows those that its value refers to as $(NAME). Kubernetes does not expand references to later variables. */ -}}
{{- define "shop-service.envList" -}}
{{- $of := .of -}}
{{- $waiting := dict -}}
{{- range $name, $value := .env -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $waiting $name (set (deepCopy $value) "name" $name) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $waiting $name (dict "name" $name "value" (include "shop-service.text" (dict "value" $value "of" (printf "variable %s of %s" $name $of)))) -}}
{{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range until (len $waiting) -}}
{{- range $name, $variable := deepCopy $waiting -}}
{{- $free := true -}}
{{- range regexFindAll "\\$\\$|\\$\\([^)]+\\)" ($variable.value | default "") -1 -}}
{{- $target := trimSuffix ")" (trimPrefix "$(" .) -}}
{{- if and (ne $target $name) (hasKey $waiting $target) -}}{{- $free = false -}}{{- end -}}
{{- end -}}
{{- if $free -}}
{{- $list = append $list $variable -}}
{{- $_ := unset $waiting $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $waiting -}}
{{- fail (printf "the variables %s of %s have circular references, so no order can resolve them" (keys $waiting | sortAlpha | join ", ") $of) -}}
{{- end -}}
{{- toJson (dict "env" $list) -}}
{{- end -}}

{{- /* The tracing settings, with those of the service before those of the parent chart, as JSON; {} without a collector. */ -}}
{{- define "shop-service.tracing" -}}
{{- $tracing := dict -}}
{{- range $name, $value := (.Values.global | default dict).tracing -}}{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $tracing $name $value -}}{{- end -}}{{- end -}}
{{- range $name, $value := .Values.tracing -}}{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $tracing $name $value -}}{{- end -}}{{- end -}}
{{- toJson (ternary $tracing dict (not (empty $tracing.endpoint))) -}}
{{- end -}}

{{- /* The standard variables of OpenTelemetry for these settings, as a JSON object of name to value. */ -}}
{{- define "shop-service.tracingEnv" -}}
{{- $env := dict -}}
{{- with include "shop-service.tracing" . | fromJson -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" .endpoint -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER" "parentbased_traceidratio" -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER_ARG" (toString (ternary .sampleRatio 1 (hasKey . "sampleRatio"))) -}}
{{- $_ := set $env "OTEL_SERVICE_NAME" (include "shop-service.name" $) -}}
{{- $_ := set $env "OTEL_RESOURCE_ATTRIBUTES" (printf "service.namespace=%s,k8s.namespace.name=%s" $.Release.Name $.Release.Namespace) -}}
{{- with .idGenerator -}}{{- $_ := set $env "OTEL_PYTHON_ID_GENERATOR" . -}}{{- end -}}
{{- end -}}
{{- toJson $env -}}
{{- end -}}

{{- /* The egress rule to the collector, as a JSON array with one or no element. */ -}}
{{- define "shop-service.tracingEgress" -}}
{{- $rules := list -}}
{{- with include "shop-service.tracing" . | fromJson -}}
{{- $url := urlParse .endpoint -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) | int -}}
{{- $rule := dict "ports" (list (dict "port" $port)) -}}
{{- with regexFind "^[^.]+[.][^.]+[.]svc([.:]|$)" $url.host -}}
{{- $namespace := index (splitList "." .) 1 -}}
{{- $_ := set $rule "to" (list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace)))) -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{- /* The shared environment, overridden by that of the service. `merge` would ignore an empty string. */ -}}
{{- define "shop-service.env" -}}
{{- $env := include "shop-service.tracingEnv" . | fromJson -}}
{{- range $name, $value := (.Values.global | default dict).env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- range $name, $value := .Values.env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- include "shop-service.envList" (dict "env" $env "of" (include "shop-service.name" .)) -}}
{{- end -}}

{{- /* The value of the service or, if it is empty, that of the parent chart, as JSON under `value`. */ -}}
{{- define "shop-service.own" -}}
{{- $own := index .context.Values .field -}}
{{- toJson (dict "value" ($own | default (index (.context.Values.global | default dict) .field))) -}}
{{- end -}}

{{- /* spec.monitoring as JSON, in which objectives without a window or a runbook have those of the parent chart. */ -}}
{{- define "shop-service.monitoring" -}}
{{- $shared := (.Values.global | default dict).slos | default dict -}}
{{- $monitoring := deepCopy .Values.monitoring -}}
{{- range $slo := $monitoring.slos -}}
{{- if and $shared.window (not $slo.window) -}}{{- $_ := set $slo "window" $shared.window -}}{{- end -}}
{{- if and $shared.runbookUrl (not $slo.runbookUrl) -}}
{{- $_ := set $slo "runbookUrl" (printf "%s#%s-%s" $shared.runbookUrl (include "shop-service.name" $) $slo.name) -}}
{{- end -}}
{{- end -}}
{{- toJson $monitoring -}}
{{- end -}}
