{{- /* The tables in the values that the reconciler compares with the orders, as a JSON object of variable to table. */ -}}
{{- define "shop.tables" -}}
{{- $tables := dict }}
{{- range $service := list "payment" "product" "shipping" }}
{{- with (index $.Values $service).env }}{{- with .TABLE }}{{- $_ := set $tables (printf "%s_TABLE" (upper $service)) . }}{{- end }}{{- end }}
{{- end }}
{{- toJson $tables }}
{{- end }}

{{- /* `true` if the release has the CronJob, otherwise empty. */ -}}
{{- define "shop.reconciles" -}}
{{- if and .Values.reconciler.enabled .Values.services.order (eq (len (include "shop.tables" . | fromJson)) 3) }}true{{ end }}
{{- end }}
