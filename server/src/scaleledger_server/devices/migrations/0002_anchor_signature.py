from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="gateway",
            name="anchor_signature",
            field=models.CharField(blank=True, default="", max_length=128),
        ),
    ]
